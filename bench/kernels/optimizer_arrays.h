#pragma once

// Parameters with their gradient and Nadam's moments.

#include "bench/kernels/memory.h"
#include "kernels/nadam.h"

namespace etude::bench {

// A second moment is not negative.
inline kernels::NadamState random_state(Memory& memory, int64_t n) {
  return {memory.random(n), memory.random(n, 1e-3f), memory.random(n, 1e-3f),
          memory.random(n, 5e-7f, 1e-6f)};
}

// The numbers of steps 1, 2, ...
inline std::vector<kernels::NadamStep> nadam_steps(int64_t steps) {
  std::vector<kernels::NadamStep> numbers;
  double product = 1;
  for (int64_t step = 1; step <= steps; ++step)
    numbers.push_back(kernels::nadam_step({}, step, product));
  return numbers;
}

}  // namespace etude::bench
