#include "kernels/dense_leaky_relu.h"
#include "kernels/leaky_relu.h"

namespace etude::kernels::cpu {

void dense_leaky_relu_forward(const DenseShape& s, float slope, const float* x, const float* w,
                              const float* b, float* y) {
  dense_forward(s, x, w, b, y);
  leaky_relu_forward(s.rows * s.out, slope, y, y);
}

void dense_leaky_relu_backward(const DenseShape& s, float slope, const float* x, const float* w,
                               const float* y, const float* dy, float* dsum,
                               const DenseGradients& gradients) {
  leaky_relu_backward(s.rows * s.out, slope, y, dy, dsum, Write::overwrite);
  dense_backward(s, x, w, dsum, gradients);
}

}  // namespace etude::kernels::cpu
