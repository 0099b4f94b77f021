#pragma once

// What a reader passed over or mended, as a user reads it.

#include <string>

#include "midi/score.h"

namespace etude::apps {

// "byte 123: REASON"
std::string finding_line(const midi::Score& score, const midi::Finding& finding);

// The first few of Score::found on stderr, each with the file's name, and how many more there are.
void tell_findings(const midi::Score& score);

}  // namespace etude::apps
