#pragma once

// Leaky ReLU: y = x where x > 0, slope * x elsewhere. The slope at 0 itself is `slope`.
// Cost forward: n multiplications, 8 n bytes; backward: the same and 12 n bytes.

#include "kernels/types.h"

namespace etude::kernels::cpu {

// x and y may be the same array.
void leaky_relu_forward(int64_t n, float slope, const float* x, float* y);

// x is the forward's input.
void leaky_relu_backward(int64_t n, float slope, const float* x, const float* dy, float* dx,
                         Write write);

}  // namespace etude::kernels::cpu

// clang-format off
ETUDE_ON_DEVICE(
void leaky_relu_forward(const Stream& stream, int64_t n, float slope, const float* x, float* y);
void leaky_relu_backward(const Stream& stream, int64_t n, float slope, const float* x,
                         const float* dy, float* dx, Write write);
)
// clang-format on
