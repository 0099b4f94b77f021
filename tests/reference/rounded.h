#pragma once

// Numbers as the operands of a matrix product in a lower precision.

#include <cmath>

#include "kernels/stream.h"
#include "tests/reference/types.h"

namespace etude::reference {

// TF32 keeps 11 bits (ties away from zero), bfloat16 8 (ties to even).
inline double rounded(double x, kernels::Precision precision) {
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);
  if (precision == kernels::Precision::tf32)
    return std::ldexp(std::round(std::ldexp(mantissa, 11)), exponent - 11);
  if (precision == kernels::Precision::bf16)
    return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
  return x;
}

inline Vec rounded(Vec numbers, kernels::Precision precision) {
  for (double& x : numbers) x = rounded(x, precision);
  return numbers;
}

}  // namespace etude::reference
