#include "apps/durations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace etude::apps {

std::string format_duration(double seconds) {
  const auto s = std::max<long>(0, std::lround(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02} min", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02} h", s / 3600, s / 60 % 60, s % 60);
}

std::string clock_time(double minutes) {
  const auto seconds = std::lround(minutes * 60);
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

}  // namespace etude::apps
