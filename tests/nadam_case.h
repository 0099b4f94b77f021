#pragma once

// Gradients for the tests of Nadam, on the CPU and on devices.

#include "tests/reference/harness.h"

namespace etude::tests {

inline Vec gradient_of_step(int64_t n, int64_t step) {
  Vec g = random_numbers(n, 100 + static_cast<uint64_t>(step), -2, 2);
  g[0] = 0;                         // never a gradient
  if (n > 1 && step > 3) g[1] = 0;  // momentum alone
  if (n > 2) g[2] *= 0x1p-24;       // of epsilon's size
  if (n > 3) g[3] *= 0x1p10;
  return g;
}

}  // namespace etude::tests
