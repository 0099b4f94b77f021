#pragma once

// The roofline of a profile (Williams, Waterman, Patterson 2009): every kernel by the FLOPs that it
// does for a byte and by those that it does in a second, under the machine's two ceilings.

#include <string>

#include "apps/profile_report.h"

namespace etude::apps::report {

std::string roofline_svg(const Profiled& profiled);

// Where a step's time goes: a bar for each layer, its forward and backward one behind the other.
std::string layers_svg(const Profiled& profiled);

}  // namespace etude::apps::report
