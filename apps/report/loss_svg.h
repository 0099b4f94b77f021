#pragma once

// Loss curves of several runs as one SVG picture: the loss of every minibatch as a faint point,
// their moving average as a line, named at its end. Light or dark as the reader's screen is.

#include <string>
#include <vector>

#include "apps/step_record.h"

namespace etude::apps::report {

struct Curve {
  std::string name;
  StepRecord record;  // one step or more
};

std::string loss_svg(const std::vector<Curve>& curves, const std::string& title);

}  // namespace etude::apps::report
