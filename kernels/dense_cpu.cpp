#include <algorithm>

#include "kernels/dense.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {

void dense_forward(const DenseShape& s, const float* x, const float* w, const float* b, float* y) {
  parallel_tasks(s.rows, [&](int64_t i) { std::copy_n(b, s.out, y + i * s.out); });
  matmul(s.rows, s.out, s.in, {x, s.in}, {w, s.out}, y, s.out, Write::add);
}

void dense_backward(const DenseShape& s, const float* x, const float* w, const float* dy,
                    const DenseGradients& g) {
  matmul(s.in, s.out, s.rows, {x, s.in, Transpose::yes}, {dy, s.out}, g.dw, s.out, g.dw_write);
  column_sums(s.rows, s.out, dy, s.out, g.db, g.db_write);
  if (g.dx)
    matmul(s.rows, s.in, s.out, {dy, s.out}, {w, s.out, Transpose::yes}, g.dx, s.in, g.dx_write);
}

}  // namespace etude::kernels::cpu
