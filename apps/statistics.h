#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace etude::apps {

// A part in 0..1 of at least one value lies below; between two values in a straight line.
inline double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  const double place = part * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

}  // namespace etude::apps
