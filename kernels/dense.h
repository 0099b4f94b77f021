#pragma once

// Fully connected layer: y = x w + b, and its gradients dx = dy w^T, dw = x^T dy, db = sum dy.
// Cost forward: 2 rows*in*out FLOPs; backward twice as many.

#include "kernels/types.h"

namespace etude::kernels {

struct DenseShape {
  int64_t rows, in, out;
};

struct DenseGradients {
  float* dx;  // [rows, in], or null where nobody asks for it
  Write dx_write;
  float* dw;  // [in, out]
  Write dw_write;
  float* db;  // [out]
  Write db_write;
};

namespace cpu {

// x [rows, in], w [in, out], b [out], y [rows, out].
void dense_forward(const DenseShape& shape, const float* x, const float* w, const float* b,
                   float* y);

void dense_backward(const DenseShape& shape, const float* x, const float* w, const float* dy,
                    const DenseGradients& gradients);

}  // namespace cpu
}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
void dense_forward(const Stream& stream, const DenseShape& shape, const float* x, const float* w,
                   const float* b, float* y);
void dense_backward(const Stream& stream, const DenseShape& shape, const float* x, const float* w,
                    const float* dy, const DenseGradients& gradients);
// dw and dx alone: the two products.
void dense_products_backward(const Stream& stream, const DenseShape& shape, const float* x,
                             const float* w, const float* dy, const DenseGradients& gradients);
)
// clang-format on
