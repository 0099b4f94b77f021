#include "tests/reference/dense.h"

#include "tests/reference/matmul.h"

namespace etude::reference {

Vec dense_forward(const kernels::DenseShape& shape, const Vec& x, const Vec& w, const Vec& b) {
  Vec y = matmul(shape.rows, shape.out, shape.in, x, false, w, false);
  for (int64_t i = 0; i < shape.rows; ++i)
    for (int64_t j = 0; j < shape.out; ++j) y[i * shape.out + j] += b[j];
  return y;
}

DenseGradients dense_backward(const kernels::DenseShape& shape, const Vec& x, const Vec& w,
                              const Vec& dy) {
  return {.dx = matmul(shape.rows, shape.in, shape.out, dy, false, w, true),
          .dw = matmul(shape.in, shape.out, shape.rows, x, true, dy, false),
          .db = column_sums(shape.rows, shape.out, dy)};
}

}  // namespace etude::reference
