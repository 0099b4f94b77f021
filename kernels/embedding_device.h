#pragma once

// What embedding_index() leaves, and how kernels read it: the ids in ascending order, equal ones in
// the order of their positions. A row's gradients are thus neighbours, and begin where an id
// differs from the one before.

#include "kernels/embedding.h"
#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

struct SortedIds {
  const int32_t* ids;        // [count]
  const int32_t* positions;  // [count]: where each stood
  int64_t count;
};

__host__ __device__ inline SortedIds sorted_ids(const int32_t* index, int64_t count) {
  return {index, index + count, count};
}

__device__ inline bool begins_row(const SortedIds& sorted, int64_t k) {
  return k == 0 || sorted.ids[k - 1] != sorted.ids[k];
}

// Whether an id is `row`.
__device__ inline bool names_row(const SortedIds& sorted, int64_t row) {
  int64_t low = 0, high = sorted.count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (sorted.ids[middle] < row)
      low = middle + 1;
    else
      high = middle;
  }
  return low < sorted.count && sorted.ids[low] == row;
}

__device__ inline int lane() { return static_cast<int>(threadIdx.x % 32); }
__device__ inline int64_t global_warp() { return global_thread() / 32; }
__device__ inline int64_t grid_warps() { return grid_threads() / 32; }

// Columns of a row that a lane handles at a time: four, of which `left` exist. Wide: dim is a
// multiple of four, and so are all addresses in 16 bytes.
template <bool Wide>
__device__ int64_t columns_left(int64_t dim, int64_t column) {
  return Wide ? 4 : dim - column;
}

// start + the gradients of the row that begins at k, in the order of their positions; eight loads
// are in flight at a time, as some ids (silence) come hundreds of times.
template <bool Wide>
__device__ float4 sum_of_row(const SortedIds& sorted, int64_t k, const float* dy, int64_t dim,
                             int64_t column, float4 start) {
  constexpr int kAhead = 8;
  const int32_t id = sorted.ids[k];
  const int64_t left = columns_left<Wide>(dim, column);
  float4 sum = start;
  for (int here = kAhead; here == kAhead; k += kAhead) {
    float4 rows[kAhead] = {};
    here = 0;
    for (int i = 0; i < kAhead; ++i) {
      if (k + i >= sorted.count || sorted.ids[k + i] != id) continue;
      rows[i] = load_quad(dy + sorted.positions[k + i] * dim + column, left, Wide);
      ++here;
    }
    for (int i = 0; i < kAhead; ++i)
      if (i < here) sum = add_quads(sum, rows[i]);
  }
  return sum;
}

}  // namespace etude::kernels::ETUDE_DEVICE
