#pragma once

// What embedding_index() leaves, and the sum of a row's gradients over it: the same order of
// additions, and so the same bits, in every kernel that needs one.

#include "kernels/embedding.h"
#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

// A run is all gradients of one row: neighbours, once the ids are sorted.
inline constexpr int kLongRun = 32;

struct SortedIds {
  int32_t* ids;        // [count], ascending
  int32_t* positions;  // [count]: where each stood; ascending among equal ids
  int32_t* lengths;    // [count]: of the run that begins here; 0 within a run
  int32_t* long_runs;  // [long_run_slots]: where a run of more than kLongRun begins, or -1
  int64_t count;
};

// A long run lies across at least one multiple of kLongRun, and is kept in the first one's slot.
__host__ __device__ inline int64_t long_run_slots(int64_t count) {
  return divide_up(count, kLongRun);
}

__host__ __device__ inline SortedIds sorted_ids(int32_t* index, int64_t count) {
  return {index, index + count, index + 2 * count, index + 3 * count, count};
}
__host__ __device__ inline SortedIds sorted_ids(const int32_t* index, int64_t count) {
  return sorted_ids(const_cast<int32_t*>(index), count);
}

// How many of the ascending ids [begin, end) are below `id`, or at most `id`.
__device__ inline int64_t count_below(const int32_t* ids, int64_t begin, int64_t end, int64_t id,
                                      bool or_equal) {
  const int64_t first = begin;
  while (begin < end) {
    const int64_t middle = (begin + end) / 2;
    if (ids[middle] < id || (or_equal && ids[middle] == id))
      begin = middle + 1;
    else
      end = middle;
  }
  return begin - first;
}

__device__ inline int lane() { return static_cast<int>(threadIdx.x % 32); }
__device__ inline int64_t global_warp() { return global_thread() / 32; }
__device__ inline int64_t grid_warps() { return grid_threads() / 32; }

// A lane handles four columns at a time, of which so many exist. Wide: dim is a multiple of four,
// and so are all addresses in 16 bytes.
template <bool Wide>
__device__ int64_t columns_left(int64_t dim, int64_t column) {
  return Wide ? 4 : dim - column;
}

// sum + the gradients of `here` ids from k on, in their order. All N loads are unconditional (those
// beyond `here` repeat the last), so that several are in flight together.
template <bool Wide, int N>
__device__ float4 add_gradients(const SortedIds& sorted, int64_t k, int64_t here, const float* dy,
                                int64_t dim, int64_t column, float4 sum) {
  float4 rows[N];
  for (int i = 0; i < N; ++i) {
    const int64_t position = sorted.positions[k + (i < here ? i : here - 1)];
    rows[i] = load_quad(dy + position * dim + column, columns_left<Wide>(dim, column), Wide);
  }
  for (int i = 0; i < N; ++i)
    if (i < here) sum = add_quads(sum, rows[i]);
  return sum;
}

// The same for any number of ids.
template <bool Wide>
__device__ float4 sum_gradients(const SortedIds& sorted, int64_t k, int64_t here, const float* dy,
                                int64_t dim, int64_t column, float4 sum) {
  for (; here >= 8; here -= 8, k += 8)
    sum = add_gradients<Wide, 8>(sorted, k, 8, dy, dim, column, sum);
  for (; here > 0; here -= 2, k += 2)
    sum = add_gradients<Wide, 2>(sorted, k, here, dy, dim, column, sum);
  return sum;
}

}  // namespace etude::kernels::ETUDE_DEVICE
