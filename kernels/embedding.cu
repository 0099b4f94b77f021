// Index: 4,800 ids. Every id counts the smaller ones: 23 M comparisons over the whole device, about
// 4 instructions each, floor 2.8 us; one barrier, no passes, and the result of a stable sort. (A
// radix sort by one block would be 4 passes of count, scan and scatter on one SM: 5 us and more.)
// Above kOneTile ids, tiles are sorted so and merged by binary search, one launch a doubling. Off
// the critical path: only backward and the update read it.
// Forward: 3.8 MB, floor 1.3 us.
// Backward: 1.9 MB of gradients and 1.5 of rows, and overwriting 14.4 MB to clear: floor 6 us in
// two launches. nadam_lazy.cu does without the table of gradients. Versions: one warp a row,
// whatever the length of its run, would wait an estimated 20 us for silence (400 to 730 ids of a
// minibatch on MAESTRO, 2 or 3 loads of 300 cycles in flight): embedding_sum.h cuts long runs.
// Measured: not yet, no GPU was at hand. Registers (sm_80, sm_90a): sort_tiles 31, 31; merge_tiles
// 20, 29; find_runs 20, 27; forward 28, 30; clear_table 24, 24; backward 54, 47 (any dim: 48, 40);
// no spills.

#include "kernels/embedding.h"

#include <utility>

#include "kernels/embedding_device.h"
#include "kernels/embedding_sum.h"
#include "kernels/quads.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256, kParts = kThreads / 32;
constexpr int64_t kOneTile = 8192, kTile = 2048;

struct Pairs {
  int32_t *ids, *positions;
};

// Each block ranks 32 ids of a tile, each warp against a part of it.
__global__ void sort_tiles(const int32_t* ids, int64_t count, int64_t tile, Pairs out) {
  SIMT_SHARED(int, partial, [kParts][32]);
  const int64_t blocks_a_tile = divide_up(tile, 32), begin = blockIdx.x / blocks_a_tile * tile;
  const int size = static_cast<int>(count - begin < tile ? count - begin : tile);
  const int mine = static_cast<int>(blockIdx.x % blocks_a_tile) * 32 + lane();
  const int part = static_cast<int>(threadIdx.x) / 32, piece = (size + kParts - 1) / kParts;
  const int end = size < (part + 1) * piece ? size : (part + 1) * piece;
  const int id = mine < size ? ids[begin + mine] : 0;
  int rank = 0;
  for (int i = part * piece; i < end; ++i) rank += ids[begin + i] < id + (i < mine);
  partial[part][lane()] = rank;
  __syncthreads();
  if (part != 0 || mine >= size) return;
  for (int i = 1; i < kParts; ++i) rank += partial[i][lane()];
  out.ids[begin + rank] = id;
  out.positions[begin + rank] = static_cast<int32_t>(begin + mine);
}

// Neighbouring tiles of `width` sorted ids become one.
__global__ void merge_tiles(int64_t count, int64_t width, Pairs from, Pairs to) {
  for (int64_t i = global_thread(); i < count; i += grid_threads()) {
    const int64_t left = i / (2 * width) * 2 * width;
    const int64_t right = left + width < count ? left + width : count;
    const int64_t end = right + width < count ? right + width : count;
    const int32_t id = from.ids[i];
    const int64_t place = i < right ? i + count_below(from.ids, right, end, id, false)
                                    : i - width + count_below(from.ids, left, right, id, true);
    to.ids[place] = id;
    to.positions[place] = from.positions[i];
  }
}

__global__ void find_runs(SortedIds sorted) {
  for (int64_t i = global_thread(); i < sorted.count; i += grid_threads()) {
    const int32_t id = sorted.ids[i];
    const int64_t begin = count_below(sorted.ids, 0, i, id, false);
    const int64_t end = i + count_below(sorted.ids, i, sorted.count, id, true);
    sorted.lengths[i] = begin == i ? static_cast<int32_t>(end - begin) : 0;
    if (i % kLongRun == 0)
      sorted.long_runs[i / kLongRun] =
          end - begin > kLongRun && i - begin < kLongRun ? static_cast<int32_t>(begin) : -1;
  }
}

template <bool Wide>
__global__ void forward(EmbeddingShape s, const float* table, const int32_t* ids, float* y) {
  for (int64_t i = global_warp(); i < s.count; i += grid_warps()) {
    const float* row = table + ids[i] * s.dim;
    for (int64_t column = 4 * lane(); column < s.dim; column += 128) {
      const int64_t left = columns_left<Wide>(s.dim, column);
      store_quad(y + i * s.dim + column, load_quad(row + column, left, Wide), left, Wide);
    }
  }
}

__global__ void clear_table(int64_t n, float* dtable, bool wide) {
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads())
    store_quad(dtable + i, make_float4(0, 0, 0, 0), n - i, wide);
}

// Into a table that holds numbers already.
struct AddToTable {
  float* dtable;
  int64_t dim;
  bool wide;
  __device__ float4 start(int64_t row, int64_t column, int64_t left) const {
    return load_quad(dtable + row * dim + column, left, wide);
  }
  __device__ void finish(int64_t row, int64_t column, int64_t left, float4 sum) const {
    store_quad(dtable + row * dim + column, sum, left, wide);
  }
};

template <bool Wide>
__global__ void backward(EmbeddingShape s, const int32_t* index, const float* dy, float* dtable) {
  sum_rows<Wide>(sorted_ids(index, s.count), dy, s.dim, AddToTable{dtable, s.dim, Wide});
}

bool wide_rows(const EmbeddingShape& s, const void* a, const void* b) {
  return s.dim % 4 == 0 && wide_access({a, b});
}

}  // namespace

int64_t embedding_index_size(const EmbeddingShape& s) {
  const int64_t index = 3 * s.count + long_run_slots(s.count);
  return s.count > kOneTile ? index + 2 * s.count : index;
}

void embedding_index(const Stream& stream, const EmbeddingShape& s, const int32_t* ids,
                     int32_t* index) {
  const SortedIds sorted = sorted_ids(index, s.count);
  int32_t* scratch = sorted.long_runs + long_run_slots(s.count);
  const int64_t tile = s.count > kOneTile ? kTile : s.count;
  Pairs from = {sorted.ids, sorted.positions}, to = {scratch, scratch + s.count};
  for (int64_t width = tile; width < s.count; width *= 2) std::swap(from, to);
  const auto blocks = static_cast<int>(divide_up(s.count, tile) * divide_up(tile, 32));
  launch(stream, {"embedding_index_tiles", {blocks}, {kThreads}}, sort_tiles, ids, s.count, tile,
         from);
  const Extent grid = elementwise_grid(s.count, kThreads);
  for (int64_t width = tile; width < s.count; width *= 2) {
    launch(stream, {"embedding_index_merge", grid, {kThreads}}, merge_tiles, s.count, width, from,
           to);
    std::swap(from, to);
  }
  launch(stream, {"embedding_index_runs", grid, {kThreads}}, find_runs, sorted);
}

void embedding_forward(const Stream& stream, const EmbeddingShape& s, const float* table,
                       const int32_t* ids, float* y) {
  launch(stream, {"embedding_forward", elementwise_grid(32 * s.count, kThreads), {kThreads}},
         wide_rows(s, table, y) ? forward<true> : forward<false>, s, table, ids, y);
}

void embedding_backward(const Stream& stream, const EmbeddingShape& s, const int32_t* index,
                        const float* dy, float* dtable, Write write) {
  const int64_t n = s.classes * s.dim;
  if (write == Write::overwrite)
    launch(stream, {"embedding_clear", elementwise_grid(divide_up(n, 4), kThreads), {kThreads}},
           clear_table, n, dtable, wide_access({dtable}));
  launch(stream, {"embedding_backward", sum_grid(s.count), {kSumThreads}},
         wide_rows(s, dy, dtable) ? backward<true> : backward<false>, s, index, dy, dtable);
}

}  // namespace etude::kernels::ETUDE_DEVICE
