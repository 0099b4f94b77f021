// Three matrix products by cuBLAS, and the bias around them. Of the five uses at the paper's sizes
// (rows x in x out) the largest are 4,800 x 100 x 384 (0.37 GFLOP: 6 us in fp32, under 1 in TF32)
// and 96 x 64 x 36,011, for which vocabulary_loss.cu exists.
//
// The bias is written first and the product added to it, as on the CPU. That costs a pass over y
// that an epilogue would not (13.8 MB at the widest, 1.8 MB at most elsewhere: under 1 us and a
// launch of about 2, hidden in a graph); cuBLASLt has such an epilogue, and is one more library to
// find. A product with a column of ones beside x would copy x instead.
// Measured: not yet, no GPU was at hand. Registers of fill_rows: 14 on sm_80, 16 on sm_90a.

#include "kernels/dense.h"

#include "kernels/matmul.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

// A thread a column, or several; rows are dealt to the grid's y. No division by `out`.
__global__ void fill_rows(int64_t rows, int64_t out, const float* b, float* y) {
  for (int64_t j = global_thread(); j < out; j += grid_threads()) {
    const float bias = b[j];
    for (int64_t i = blockIdx.y; i < rows; i += gridDim.y) y[i * out + j] = bias;
  }
}

Extent fill_grid(int64_t rows, int64_t out) {
  constexpr int64_t kBlocks = 8 * 132;
  Extent grid = elementwise_grid(out, kThreads);
  const int64_t wanted = divide_up(kBlocks, grid.x);
  grid.y = static_cast<int>(wanted < rows ? wanted : rows);
  return grid;
}

}  // namespace

void dense_forward(const Stream& stream, const DenseShape& s, const float* x, const float* w,
                   const float* b, float* y) {
  launch(stream, {"dense_bias", fill_grid(s.rows, s.out), {kThreads}}, fill_rows, s.rows, s.out, b,
         y);
  matmul(stream, s.rows, s.out, s.in, {x, s.in}, {w, s.out}, y, s.out, Write::add);
}

void dense_products_backward(const Stream& stream, const DenseShape& s, const float* x,
                             const float* w, const float* dy, const DenseGradients& g) {
  matmul(stream, s.in, s.out, s.rows, {x, s.in, Transpose::yes}, {dy, s.out}, g.dw, s.out,
         g.dw_write);
  if (g.dx)
    matmul(stream, s.rows, s.in, s.out, {dy, s.out}, {w, s.out, Transpose::yes}, g.dx, s.in,
           g.dx_write);
}

void dense_backward(const Stream& stream, const DenseShape& s, const float* x, const float* w,
                    const float* dy, const DenseGradients& g) {
  column_sums(stream, s.rows, s.out, dy, s.out, g.db, g.db_write);
  dense_products_backward(stream, s, x, w, dy, g);
}

}  // namespace etude::kernels::ETUDE_DEVICE
