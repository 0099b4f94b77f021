#pragma once

#include <string>

namespace etude::apps {

// "9 s", "1:05 min", "2:03:04 h"
std::string format_duration(double seconds);

// "79:39", minutes and seconds, as the paper's table has it
std::string clock_time(double minutes);

}  // namespace etude::apps
