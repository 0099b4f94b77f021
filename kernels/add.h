#pragma once

// Sum of two arrays, for residual connections, and the copy that its backward is made of.
// Cost: n additions, 12 n bytes.

#include "kernels/types.h"

namespace etude::kernels::cpu {

void add_forward(int64_t n, const float* a, const float* b, float* y);

// The gradient of either operand: da = dy, or da += dy.
void add_backward(int64_t n, const float* dy, float* da, Write write);

}  // namespace etude::kernels::cpu

// clang-format off
ETUDE_ON_DEVICE(
void add_forward(const Stream& stream, int64_t n, const float* a, const float* b, float* y);
void add_backward(const Stream& stream, int64_t n, const float* dy, float* da, Write write);
)
// clang-format on
