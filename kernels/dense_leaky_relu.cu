// What stands around the products of a Dense layer whose output goes through leaky ReLU: one kernel
// forward, one backward, where the two ops apart have two (the bias that is written first, the
// activation) and two (the activation's gradient, the bias's sums).
//
// At 96 x 64, what every model ends in, both are launches and nothing else: 25 KB an array. So a
// launch is saved forward and one backward, about 2 us each, or 1 in a graph. At the transformer's
// 4,800 x 400: forward 8 bytes an element, 15 MB, 5.1 us at 3 TB/s, and half that where the product
// still lies in L2; the two ops apart pass over y three times more.
//
// Backward with many rows leaves the sums to column_sums.cu: a strip of columns belongs to one
// block, and 50 blocks (400 columns) would read 23 MB more slowly than the whole device does.
// A cuBLASLt epilogue (bias and ReLU, but no leaky one) would not do.
// Measured: not yet, no GPU was at hand.
// Registers (sm_80, sm_90a): the bias 26, 26; the gradient 58, 48; no spills; 256 bytes of shared
// memory.

#include "kernels/dense_leaky_relu.h"

#include "kernels/leaky_relu.h"
#include "kernels/matmul.h"
#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kQuads = 16, kRows = 16;  // of a block that adds the bias
constexpr int kStrip = 8;               // columns of a block that sums: one sector of a row
constexpr int kSumThreads = 256;
constexpr int kInFlight = 4;  // rows that a thread loads at a time
constexpr int64_t kFewRows = 512;

__device__ inline float leaky(float x, float slope) { return x > 0 ? x : slope * x; }

// A thread four columns; rows are dealt to the grid's y. No division by `out`.
__global__ void add_bias(DenseShape s, float slope, const float* b, float* y, bool wide) {
  const int64_t j = 4 * (static_cast<int64_t>(blockIdx.x) * kQuads + threadIdx.x);
  if (j >= s.out) return;
  const float4 bias = load_quad(b + j, s.out - j, wide);
  const int64_t step = static_cast<int64_t>(gridDim.y) * kRows;
  for (int64_t i = static_cast<int64_t>(blockIdx.y) * kRows + threadIdx.y; i < s.rows; i += step) {
    float* to = y + i * s.out + j;
    const float4 sum = add_quads(load_quad(to, s.out - j, wide), bias);
    store_quad(to,
               make_float4(leaky(sum.x, slope), leaky(sum.y, slope), leaky(sum.z, slope),
                           leaky(sum.w, slope)),
               s.out - j, wide);
  }
}

// The thread's rows are `first` and every `step`th after it; the pointers are those of its column.
__device__ inline float differentiate_rows(const DenseShape& s, float slope, const float* y,
                                           const float* dy, float* dsum, int64_t first,
                                           int64_t step) {
  float sum = 0;
  for (int64_t row = first; row < s.rows; row += kInFlight * step) {
    float sign[kInFlight], gradient[kInFlight];
    for (int k = 0; k < kInFlight; ++k) {
      const int64_t at = (row + k * step) * s.out;
      const bool there = row + k * step < s.rows;
      sign[k] = there ? y[at] : 0.0f;
      gradient[k] = there ? dy[at] : 0.0f;
    }
    for (int k = 0; k < kInFlight; ++k) {
      const float mine = sign[k] > 0 ? gradient[k] : slope * gradient[k];
      if (row + k * step < s.rows) dsum[(row + k * step) * s.out] = mine;
      sum += mine;
    }
  }
  return sum;
}

// The gradient of the sum, and of the bias: a block a strip of columns. A column's sum: a thread's
// rows in order, then the warp's by halves, then the warps' in order.
__global__ void __launch_bounds__(kSumThreads)
    differentiate(DenseShape s, float slope, const float* y, const float* dy, float* dsum,
                  float* db, Write write) {
  SIMT_SHARED(float, partial, [kSumThreads / 32][kStrip]);
  const int thread = static_cast<int>(threadIdx.x), place = thread % kStrip;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kStrip + place;
  float sum = 0;
  if (column < s.out)
    sum = differentiate_rows(s, slope, y + column, dy + column, dsum + column, thread / kStrip,
                             kSumThreads / kStrip);
  for (int distance = kStrip; distance < 32; distance *= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (thread % 32 < kStrip) partial[thread / 32][place] = sum;
  __syncthreads();
  if (thread >= kStrip || column >= s.out) return;
  float total = 0;
  for (int warp = 0; warp < kSumThreads / 32; ++warp) total += partial[warp][place];
  db[column] = write == Write::add ? db[column] + total : total;
}

Extent bias_grid(const DenseShape& s) {
  constexpr int64_t kBlocks = 8 * 132;
  const int64_t columns = divide_up(s.out, 4 * kQuads), rows = divide_up(s.rows, kRows);
  const int64_t wanted = divide_up(kBlocks, columns);
  return {static_cast<int>(columns), static_cast<int>(wanted < rows ? wanted : rows)};
}

}  // namespace

void dense_leaky_relu_forward(const Stream& stream, const DenseShape& s, float slope,
                              const float* x, const float* w, const float* b, float* y) {
  matmul(stream, s.rows, s.out, s.in, {x, s.in}, {w, s.out}, y, s.out, Write::overwrite);
  launch(stream, {"dense_leaky_relu_forward", bias_grid(s), {kQuads, kRows}}, add_bias, s, slope, b,
         y, s.out % 4 == 0 && wide_access({b, y}));
}

void dense_leaky_relu_backward(const Stream& stream, const DenseShape& s, float slope,
                               const float* x, const float* w, const float* y, const float* dy,
                               float* dsum, const DenseGradients& g) {
  if (s.rows > kFewRows) {
    leaky_relu_backward(stream, s.rows * s.out, slope, y, dy, dsum, Write::overwrite);
    dense_backward(stream, s, x, w, dsum, g);
    return;
  }
  launch(stream,
         {"dense_leaky_relu_backward", {static_cast<int>(divide_up(s.out, kStrip))}, {kSumThreads}},
         differentiate, s, slope, y, dy, dsum, g.db, g.db_write);
  dense_products_backward(stream, s, x, w, dsum, g);
}

}  // namespace etude::kernels::ETUDE_DEVICE
