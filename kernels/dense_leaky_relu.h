#pragma once

// A fully connected layer and leaky ReLU in one: y = leaky_relu(x w + b). Backward has no need of
// the sum x w + b: for slope >= 0 it is above 0 where y is, and nowhere else.
// Cost: the products of dense.h; around them 8 bytes an element of y forward, 12 backward.

#include "kernels/dense.h"

namespace etude::kernels::cpu {

// x [rows, in], w [in, out], b [out], y [rows, out]; slope >= 0. The bits of dense_forward and
// leaky_relu_forward one after the other, and of their backward.
void dense_leaky_relu_forward(const DenseShape& shape, float slope, const float* x, const float* w,
                              const float* b, float* y);

// y is the forward's output; dsum [rows, out] is scratch, where the gradient of the sum goes.
void dense_leaky_relu_backward(const DenseShape& shape, float slope, const float* x, const float* w,
                               const float* y, const float* dy, float* dsum,
                               const DenseGradients& gradients);

}  // namespace etude::kernels::cpu

// clang-format off
ETUDE_ON_DEVICE(
void dense_leaky_relu_forward(const Stream& stream, const DenseShape& shape, float slope,
                              const float* x, const float* w, const float* b, float* y);
void dense_leaky_relu_backward(const Stream& stream, const DenseShape& shape, float slope,
                               const float* x, const float* w, const float* y, const float* dy,
                               float* dsum, const DenseGradients& gradients);
)
// clang-format on
