// Bound by memory: every number is read once. 4,800 x 384 (a GRU's bias): 7.4 MB, 2.5 us at 3 TB/s;
// 96 x 36,011 (the output layer's): 13.8 MB, 4.6 us. In both the numbers have just been written and
// most still lie in the 50 MB of L2, which gives perhaps twice that.
//
// There is no scratch, so a column belongs to one block, and the question is how to have enough
// blocks and enough loads in flight all the same (an SM needs about 40 KB in flight to reach 3 TB/s
// over 132 of them). Strips of 8 columns, one 32-byte sector a row, are the narrowest that waste no
// bandwidth: 384 columns make 48 blocks, of 1,024 threads with 8 loads each in flight (32 KB a
// block; about 5 round trips to L2, 2 us). Wide matrices have blocks enough in strips of 32, one
// cache line a row. Neither needs the rows to be aligned.
//
// The third use, vocabulary_loss's 126 partials of 6,144 numbers (3.1 MB, in L2), makes 768 blocks
// of 256 threads with 4 loads each.
//
// A cluster of four blocks a strip (sm_90) would fill the other SMs too and save perhaps 1 us.
// Measured: not yet, no GPU was at hand.
// Registers: 32 on sm_80, 40 on sm_90a, no spills; 4 KB of shared memory.
//
// The order of a sum: a thread's rows in order, then the warp's by halves, then the warps' in
// order.

#include "kernels/matmul.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kNarrow = 8, kWide = 32;
constexpr int kManyThreads = 1024, kFewThreads = 256;
constexpr int kInFlight = 8;  // loads of a thread

// A thread's rows: `first` and every `step`th after it. Those missing from the last batch are
// zeros: loads one after the other would cost more than the batch.
__device__ inline float sum_of_rows(int64_t rows, int64_t first, int64_t step, const float* x,
                                    int64_t stride) {
  float sum = 0;
  for (int64_t row = first; row < rows; row += kInFlight * step) {
    float values[kInFlight];
    for (int i = 0; i < kInFlight; ++i)
      values[i] = row + i * step < rows ? x[(row + i * step) * stride] : 0.0f;
    for (int i = 0; i < kInFlight; ++i) sum += values[i];
  }
  return sum;
}

// One block a strip of `strip` columns: 8 or 32.
__global__ void __launch_bounds__(kManyThreads)
    sum_strip(int64_t rows, int64_t columns, const float* x, int64_t stride, float* sums, int strip,
              Write write) {
  SIMT_SHARED(float, partial, [kManyThreads / 32][kWide]);
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int place = thread % strip;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * strip + place;
  float sum = 0;
  if (column < columns)
    sum = sum_of_rows(rows, thread / strip, threads / strip, x + column, stride);
  for (int distance = strip; distance < 32; distance *= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (thread % 32 < strip) partial[thread / 32][place] = sum;
  __syncthreads();
  if (thread >= strip || column >= columns) return;
  float total = 0;
  for (int warp = 0; warp < threads / 32; ++warp) total += partial[warp][place];
  sums[column] = write == Write::add ? sums[column] + total : total;
}

}  // namespace

void column_sums(const Stream& stream, int64_t rows, int64_t columns, const float* x,
                 int64_t stride, float* sums, Write write) {
  constexpr int64_t kBlocksToFill = 2 * 132;
  const bool wide = columns >= kBlocksToFill * kWide;
  const int strip = wide ? kWide : kNarrow;
  const int threads = wide || rows <= 4 * kFewThreads / kNarrow ? kFewThreads : kManyThreads;
  launch(stream, {"column_sums", {static_cast<int>(divide_up(columns, strip))}, {threads}},
         sum_strip, rows, columns, x, stride, sums, strip, write);
}

}  // namespace etude::kernels::ETUDE_DEVICE
