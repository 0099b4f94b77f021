#pragma once

// The gradient of every named row, handed to a functor once, complete:
//   float4 start(int64_t row, int64_t column, int64_t left): what the sum begins with;
//   void finish(int64_t row, int64_t column, int64_t left, float4 sum).
// In a minibatch of MAESTRO (4,800 ids) about 1,850 rows are named, most once or twice, some 60
// more than 8 times, and silence 400 to 730 times. One warp a row; a run of more than kLongRun ids
// is cut into kSumWarps equal parts, one a warp of a block, whose sums are then added in order: one
// warp alone would need tens of microseconds for silence.

#include "kernels/embedding_device.h"

namespace etude::kernels::ETUDE_DEVICE {

inline constexpr int kSumThreads = 512, kSumWarps = kSumThreads / 32;

// The first blocks take the long runs, which take longest.
inline Extent sum_grid(int64_t count) {
  return {static_cast<int>(long_run_slots(count) + divide_up(count, kSumWarps))};
}

// By one block; every thread calls. `partial` is shared.
template <bool Wide, typename Row>
__device__ void sum_long_run(const SortedIds& sorted, int64_t begin, const float* dy, int64_t dim,
                             const Row& row, float4 (&partial)[kSumWarps][32]) {
  const int64_t id = sorted.ids[begin], length = sorted.lengths[begin];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t part = divide_up(length, kSumWarps), first = warp * part;
  const int64_t here = first + part < length ? part : length - first;
  for (int64_t columns = 0; columns < dim; columns += 128) {
    const int64_t column = columns + 4 * lane(), left = columns_left<Wide>(dim, column);
    float4 sum = make_float4(0, 0, 0, 0);
    if (column < dim) {
      if (warp == 0) sum = row.start(id, column, left);
      partial[warp][lane()] =
          sum_gradients<Wide>(sorted, begin + first, here, dy, dim, column, sum);
    }
    __syncthreads();
    if (warp == 0 && column < dim) {
      sum = partial[0][lane()];
      for (int i = 1; i < kSumWarps; ++i) sum = add_quads(sum, partial[i][lane()]);
      row.finish(id, column, left, sum);
    }
    __syncthreads();
  }
}

// Launched with sum_grid() blocks of kSumThreads.
template <bool Wide, typename Row>
__device__ void sum_rows(const SortedIds& sorted, const float* dy, int64_t dim, const Row& row) {
  SIMT_SHARED(float4, partial, [kSumWarps][32]);
  const int64_t slots = long_run_slots(sorted.count);
  if (blockIdx.x < slots) {
    const int32_t begin = sorted.long_runs[blockIdx.x];
    if (begin >= 0) sum_long_run<Wide>(sorted, begin, dy, dim, row, partial);
    return;
  }
  const int64_t k = global_warp() - slots * kSumWarps;
  const int64_t length = k < sorted.count ? sorted.lengths[k] : 0;
  if (length == 0 || length > kLongRun) return;
  for (int64_t column = 4 * lane(); column < dim; column += 128) {
    const int64_t id = sorted.ids[k], left = columns_left<Wide>(dim, column);
    const float4 start = row.start(id, column, left);
    row.finish(id, column, left, sum_gradients<Wide>(sorted, k, length, dy, dim, column, start));
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
