#pragma once

// How both probes measure: the best of as many repetitions as fit a budget of time.

#include <algorithm>
#include <chrono>
#include <limits>

namespace etude::kernels {

// Seconds of the fastest call, after one that is not counted; at least three are.
template <typename Call>
double best_seconds(double budget, const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  call();
  double best = std::numeric_limits<double>::max();
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 3 || seconds_since(begin) < budget; ++i) {
    const Clock::time_point start = Clock::now();
    call();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

}  // namespace etude::kernels
