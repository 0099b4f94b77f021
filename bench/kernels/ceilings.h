#pragma once

// Kernels that do nothing, or nothing but copy: what a launch costs, and what the memory gives.

#include "kernels/types.h"

// clang-format off
ETUDE_ON_DEVICE(
void bench_nothing(const Stream& stream);
// n, a multiple of 4.
void bench_copy(const Stream& stream, int64_t n, const float* x, float* y);
)
// clang-format on
