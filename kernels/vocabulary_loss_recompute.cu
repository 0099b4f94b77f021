// The output layer fused with its loss. Paper's size: 96 rows, 64 to 36,011. Of one H100, 132 SMs:
//
//   forward    w once, 9.2 MB: 3.1 us. 0.44 GFLOP: under 1 us of tensor cores, 6.6 us of FMA. 3.5 M
//              exponentials: 0.8 us of the special-function units.
//   backward   w again, now from L2, and dw written: 3.1 us each, side by side. 1.3 GFLOP, a third
//              of it the logits once more; 0.8 us of exponentials.
// `separate` moves the logits 9 times besides, 124 MB: 20 to 40 us, as L2 takes more or less of it.
//
// A tile is 96 rows by 96 classes by 64 of `in`. A block has all rows and some neighbouring tiles
// of classes: 376 tiles make 3 for each of 126 blocks, one an SM. x stays in shared memory, w comes
// tile by tile, the next one by cp.async while this one is worked on (its rows are not aligned: 4
// bytes a copy). In tf32 a tile is rounded once, when it has come. Forward writes each row's
// (largest logit, sum of exp) of each tile, 0.3 MB, which a second kernel combines. Backward makes
// p = exp(l - log_sum_exp) - [target] in the accumulators, stores it to shared memory and there
// multiplies it twice: dw = x^T p leaves through shared memory in whole rows, dx = p w^T stays in
// registers from tile to tile and leaves as one partial a block (3.1 MB), which column_sums adds
// up. Every sum has its fixed order; db comes from the unrounded p.
//
// What should bound it on an SM is the reading of shared memory, 128 bytes a cycle. 2 x 4 warps of
// 48 x 24 elements read 2 words a lane for an mma of 8 along k, 2.33 for dw, 2.67 for dx: 1.7 us
// forward and 6.1 us backward, beside which the bytes from memory flow. Expected: 5 us and 9 us,
// and 2 us each for the small kernels behind them. Measured: not yet, no GPU was at hand. To be
// tried there, in this order:
// * 4 warps of 48 x 48: 1.6 words an mma, but one warp a scheduler to hide latencies.
// * bf16: pairs in shared memory, through ldmatrix. Now it reads what tf32 reads, in half the mma.
// * dx from p in registers: the accumulators of two tiles are an operand's fragment already.
// * A cluster of 4 that adds its dx in distributed shared memory (sm_90): 2.3 MB less, each way.
// * Combining in the last block to finish: needs a counter that somebody has cleared.
// Not tried: `resident`, the logits kept in shared memory from forward to backward (273 columns an
// SM beside their w: 190 KB, sm_90 alone). Only one launch keeps shared memory, so one call would
// have to do both ways, and when forward runs nobody knows yet where gradients go and whether they
// add. Wider tiles (128: 282 blocks, 2.1 an SM where 96 gives 2.85 of 3) leave SMs idle at the end.
// In fp32 the products take 26 us at best, 7 of them for the logits' second time: no worse than
// `separate`, and perhaps no better.
//
// Shared memory: 82 KB forward, 145 KB backward: one block an SM on sm_80 too; where a block can
// have 99 KB only (sm_86, sm_89) `automatic` is `separate`. Registers, sm_80 and sm_90a: forward
// fp32 124 and 126, tf32 124 and 103, bf16 121 and 99; backward fp32 236 and 254, tf32 254 and 254,
// bf16 254 and 255; combine 32. No spills.

#include "kernels/vocabulary_loss_recompute.h"

#include <cmath>

#include "kernels/matmul.h"
#include "kernels/vocabulary_loss_products.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kRows = 96, kColumns = 96, kDepth = 64;  // of tiles: rows of x, of w's columns, of in
constexpr int kWarpRows = 2, kWarpColumns = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kCombineThreads = 128;
constexpr float kLowest = -3.4028235e38f;  // -inf would make exp(-inf - -inf) a NaN

// What each warp has of a product: 16 x 8 elements each, so many times.
constexpr int kM = kRows / kWarpRows / 16, kN = kColumns / kWarpColumns / 8;
constexpr int kDwM = kDepth / kWarpRows / 16, kDxN = kDepth / kWarpColumns / 8;
static_assert(16 * kM * kWarpRows == kRows && 8 * kN * kWarpColumns == kColumns);
static_assert(16 * kDwM * kWarpRows == kDepth && 8 * kDxN * kWarpColumns == kDepth);
static_assert(kWarpRows * kWarpColumns == kWarps && kRows <= kThreads && kColumns <= kThreads);

using Logits = float[kM][kN][4];
using DxPart = float[kM][kDxN][4];

struct Layer {
  int64_t rows, in, classes;
  const float *x, *w, *b;
  const int32_t* targets;
  int tiles, tiles_a_block, parts;  // tiles of columns; parts of kDepth along `in`

  __device__ int rows_left(int row_tile) const { return left(rows, row_tile, kRows); }
  __device__ int columns_left(int tile) const { return left(classes, tile, kColumns); }
  __device__ int in_left(int part) const { return left(in, part, kDepth); }

 private:
  __device__ static int left(int64_t all, int index, int size) {
    const int64_t rest = all - static_cast<int64_t>(index) * size;
    return rest < size ? static_cast<int>(rest) : size;
  }
};

__device__ inline int warp_row() { return static_cast<int>(threadIdx.x) / 32 / kWarpColumns; }
__device__ inline int warp_column() { return static_cast<int>(threadIdx.x) / 32 % kWarpColumns; }
// Within a tile, of a lane's elements: row 16 m + 8 half, column 8 n of the warp's.
__device__ inline int row_of(int m, int half) {
  return warp_row() * (16 * kM) + 16 * m + 8 * half + lane_group();
}
__device__ inline int column_of(int n) {
  return warp_column() * (8 * kN) + 8 * n + 2 * lane_member();
}
__device__ inline int round_up_16(int n) { return (n + 15) / 16 * 16; }

// The tiles of x and w in shared memory, and the next one of w on its way.
template <Precision kPrecision>
class Operands {
 public:
  static int64_t shared_bytes() {
    return DynamicShared::bytes<float>(kRows * stride_of(kDepth)) +
           2 * DynamicShared::bytes<float>(kDepth * stride_of(kColumns));
  }
  __device__ Operands(const Layer& layer, DynamicShared& shared)
      : layer_(layer),
        x_(shared.take<float>(kRows * stride_of(kDepth))),
        w_(shared.take<float>(kDepth * stride_of(kColumns))),
        next_w_(shared.take<float>(kDepth * stride_of(kColumns))) {}
  __device__ const float* x() const { return x_; }
  __device__ const float* w() const { return w_; }

  // By all threads; behind it the tiles are there, and a barrier has been passed unless they were
  // there before.
  __device__ void bring(int row_tile, int tile, int part) {
    const int x_wanted = row_tile * layer_.parts + part, w_wanted = tile * layer_.parts + part;
    const bool new_x = x_wanted != x_there_, new_w = w_wanted != w_there_;
    if (!new_x && !new_w) return;
    const bool copy_w = new_w && w_wanted != w_coming_;
    if (new_x || copy_w) __syncthreads();  // everybody has read what lies there
    if (new_x) copy_x(row_tile, part);
    if (copy_w) start(tile, part);
    cp_async_commit();
    cp_async_wait<0>();
    if (new_x) round_tile<kPrecision, kRows, kDepth>(x_);
    if (new_w) round_tile<kPrecision, kDepth, kColumns>(next_w_);
    __syncthreads();
    if (new_w) swap_w();
    x_there_ = x_wanted;
    w_there_ = w_wanted;
  }

  // To be brought next. The tile before has been read by all: bring() had a barrier since.
  __device__ void start(int tile, int part) {
    copy_tile<kDepth, kColumns>(next_w_,
                                layer_.w + static_cast<int64_t>(part) * kDepth * layer_.classes +
                                    static_cast<int64_t>(tile) * kColumns,
                                layer_.classes, layer_.in_left(part), layer_.columns_left(tile));
    cp_async_commit();
    w_coming_ = tile * layer_.parts + part;
  }

 private:
  __device__ void copy_x(int row_tile, int part) {
    copy_tile<kRows, kDepth>(x_,
                             layer_.x + static_cast<int64_t>(row_tile) * kRows * layer_.in +
                                 static_cast<int64_t>(part) * kDepth,
                             layer_.in, layer_.rows_left(row_tile), layer_.in_left(part));
  }
  __device__ void swap_w() {
    float* old = w_;
    w_ = next_w_;
    next_w_ = old;
    w_coming_ = -1;
  }

  const Layer& layer_;
  float *x_, *w_, *next_w_;
  int x_there_ = -1, w_there_ = -1, w_coming_ = -1;
};

// The bias; -inf beyond the last class, so that nothing comes of it.
__device__ inline void start_with_bias(const Layer& l, int tile, Logits& c) {
  for (int n = 0; n < kN; ++n)
    for (int j = 0; j < 2; ++j) {
      const int64_t column = static_cast<int64_t>(tile) * kColumns + column_of(n) + j;
      const float bias = column < l.classes ? l.b[column] : -INFINITY;
      for (int m = 0; m < kM; ++m) c[m][n][j] = c[m][n][2 + j] = bias;
    }
}

// One part's share of the logits.
template <Precision kPrecision>
__device__ inline void add_logits(const Layer& l, const Operands<kPrecision>& operands,
                                  int row_tile, int tile, int part, Logits& c) {
  const int row = warp_row() * (16 * kM), column = warp_column() * (8 * kN);
  if (row < l.rows_left(row_tile) && column < l.columns_left(tile))
    multiply<kPrecision>(c, Rows<kDepth>{operands.x(), row},
                         Columns<kColumns>{operands.w(), column}, round_up_16(l.in_left(part)));
}

// sum of exp(l) = sum * exp(largest)
__device__ inline float2 merged(float2 a, float2 b) {
  const float largest = fmaxf(a.x, b.x);
  return make_float2(largest, a.y * expf(a.x - largest) + b.y * expf(b.x - largest));
}

// Over the warp's columns: sums [kWarpColumns][kRows] of (largest, sum).
__device__ inline void sum_rows(const Logits& c, float2* sums) {
  for (int m = 0; m < kM; ++m)
    for (int half = 0; half < 2; ++half) {
      float largest = kLowest, sum = 0;
      for (int n = 0; n < kN; ++n)
        largest = fmaxf(largest, fmaxf(c[m][n][2 * half], c[m][n][2 * half + 1]));
      for (int distance = 1; distance < 4; distance *= 2)
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
      for (int n = 0; n < kN; ++n)
        sum += expf(c[m][n][2 * half] - largest) + expf(c[m][n][2 * half + 1] - largest);
      for (int distance = 1; distance < 4; distance *= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
      if (lane_member() == 0)
        sums[warp_column() * kRows + row_of(m, half)] = make_float2(largest, sum);
    }
}

// One thread in all the grid has a row's target.
__device__ inline void keep_target_logits(const Layer& l, const Logits& c, int row_tile, int tile,
                                          float* target_logits) {
  for (int m = 0; m < kM; ++m)
    for (int half = 0; half < 2; ++half) {
      const int row = row_of(m, half);
      if (row >= l.rows_left(row_tile)) continue;
      const int64_t at = static_cast<int64_t>(row_tile) * kRows + row;
      const int place_in_tile = l.targets[at] - tile * kColumns;
      for (int n = 0; n < kN; ++n)
        for (int j = 0; j < 2; ++j)
          if (place_in_tile == column_of(n) + j) target_logits[at] = c[m][n][2 * half + j];
    }
}

// partials [rows][tiles] of (largest, sum); target_logits [rows].
template <Precision kPrecision>
__global__ void __launch_bounds__(kThreads)
    forward_tiles(Layer l, float2* partials, float* target_logits) {
  DynamicShared shared;
  Operands<kPrecision> operands(l, shared);
  float2* sums = shared.take<float2>(kWarpColumns * kRows);
  const int first = static_cast<int>(blockIdx.x) * l.tiles_a_block;
  const int end = min(first + l.tiles_a_block, l.tiles);
  const int thread = static_cast<int>(threadIdx.x);
  for (int row_tile = 0; static_cast<int64_t>(row_tile) * kRows < l.rows; ++row_tile)
    for (int tile = first; tile < end; ++tile) {
      Logits c;
      start_with_bias(l, tile, c);
      for (int part = 0; part < l.parts; ++part) {
        operands.bring(row_tile, tile, part);
        if (l.parts == 1 && tile + 1 < end) operands.start(tile + 1, part);
        add_logits(l, operands, row_tile, tile, part, c);
      }
      keep_target_logits(l, c, row_tile, tile, target_logits);
      sum_rows(c, sums);  // read for the last time before the barrier of bring()
      __syncthreads();
      if (thread >= l.rows_left(row_tile)) continue;
      float2 sum = sums[thread];
      for (int i = 1; i < kWarpColumns; ++i) sum = merged(sum, sums[i * kRows + thread]);
      partials[(static_cast<int64_t>(row_tile) * kRows + thread) * l.tiles + tile] = sum;
    }
}

// A block a row.
__global__ void __launch_bounds__(kCombineThreads)
    combine(int tiles, const float2* partials, const float* target_logits, float* loss,
            float* log_sum_exp) {
  SIMT_SHARED(float, warps, [kCombineThreads / 32]);
  const int64_t row = blockIdx.x;
  float2 mine = make_float2(kLowest, 0);
  for (int tile = static_cast<int>(threadIdx.x); tile < tiles; tile += kCombineThreads)
    mine = merged(mine, partials[row * tiles + tile]);
  const float largest = block_max(mine.x, warps);
  const float log_of_sum = logf(block_sum(mine.y * expf(mine.x - largest), warps));
  if (threadIdx.x != 0) return;
  log_sum_exp[row] = largest + log_of_sum;
  // Not log_sum_exp less the logit: where both are large, their small difference would be lost.
  loss[row] = (largest - target_logits[row]) + log_of_sum;
}

// Of a lane's rows. Beyond the last row exp(l - inf) is 0 and nothing is the target.
struct RowData {
  float log_sum_exp[2 * kM];
  int target[2 * kM];
  __device__ RowData(const Layer& l, const float* all_log_sum_exp, int row_tile) {
    for (int i = 0; i < 2 * kM; ++i) {
      const int row = row_of(i / 2, i % 2);
      const int64_t at = static_cast<int64_t>(row_tile) * kRows + row;
      const bool there = row < l.rows_left(row_tile);
      log_sum_exp[i] = there ? all_log_sum_exp[at] : INFINITY;
      target[i] = there ? l.targets[at] : -1;
    }
  }
};

// c becomes the logits' gradient, softmax - [the target], and goes to a tile for the products.
template <Precision kPrecision>
__device__ inline void make_gradient(const RowData& rows, int tile, Logits& c, float* p) {
  for (int m = 0; m < kM; ++m)
    for (int half = 0; half < 2; ++half)
      for (int n = 0; n < kN; ++n) {
        const int i = 2 * m + half;
        for (int j = 0; j < 2; ++j) {
          float& x = c[m][n][2 * half + j];
          const int column = tile * kColumns + column_of(n) + j;
          x = expf(x - rows.log_sum_exp[i]) - (column == rows.target[i] ? 1.0f : 0.0f);
        }
        *reinterpret_cast<float2*>(p + place<kColumns>(row_of(m, half), column_of(n))) =
            make_float2(operand<kPrecision>(c[m][n][2 * half]),
                        operand<kPrecision>(c[m][n][2 * half + 1]));
      }
}

// Over the warp's rows: sums [kWarpRows][kColumns].
__device__ inline void sum_columns(const Logits& c, float* sums) {
  for (int n = 0; n < kN; ++n)
    for (int j = 0; j < 2; ++j) {
      float sum = 0;
      for (int m = 0; m < kM; ++m) sum += c[m][n][j] + c[m][n][2 + j];
      for (int distance = 4; distance < 32; distance *= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
      if (lane_group() == 0) sums[warp_row() * kColumns + column_of(n) + j] = sum;
    }
}

__device__ inline void put(float* to, float value, bool add) { *to = add ? *to + value : value; }

__device__ inline void write_db(const Layer& l, const float* sums, int tile, bool add, float* db) {
  const int column = static_cast<int>(threadIdx.x);
  if (column >= l.columns_left(tile)) return;
  float sum = sums[column];
  for (int i = 1; i < kWarpRows; ++i) sum += sums[i * kColumns + column];
  put(db + static_cast<int64_t>(tile) * kColumns + column, sum, add);
}

// x^T p, to a tile from which whole rows go to memory.
template <Precision kPrecision>
__device__ inline void make_dw(const Layer& l, const float* x, const float* p, int row_tile,
                               int tile, int part, float* dw_tile) {
  const int row = warp_row() * (16 * kDwM), column = warp_column() * (8 * kN);
  if (row >= l.in_left(part) || column >= l.columns_left(tile)) return;
  float c[kDwM][kN][4] = {};
  multiply<kPrecision>(c, Columns<kDepth>{x, row}, Columns<kColumns>{p, column},
                       round_up_16(l.rows_left(row_tile)));
  for (int m = 0; m < kDwM; ++m)
    for (int half = 0; half < 2; ++half)
      for (int n = 0; n < kN; ++n)
        *reinterpret_cast<float2*>(
            dw_tile + place<kColumns>(row + 16 * m + 8 * half + lane_group(), column_of(n))) =
            make_float2(c[m][n][2 * half], c[m][n][2 * half + 1]);
}

__device__ inline void write_dw(const Layer& l, const float* dw_tile, int tile, int part, bool add,
                                float* dw) {
  float* to =
      dw + static_cast<int64_t>(part) * kDepth * l.classes + static_cast<int64_t>(tile) * kColumns;
  write_tile<kDepth, kColumns>(dw_tile, to, l.classes, l.in_left(part), l.columns_left(tile), add);
}

// p w^T, added to dx.
template <Precision kPrecision>
__device__ inline void add_dx(const Layer& l, const float* p, const float* w, int row_tile,
                              int tile, int part, DxPart& dx) {
  const int row = warp_row() * (16 * kM), column = warp_column() * (8 * kDxN);
  if (row < l.rows_left(row_tile) && column < l.in_left(part))
    multiply<kPrecision>(dx, Rows<kColumns>{p, row}, Rows<kColumns>{w, column},
                         round_up_16(l.columns_left(tile)));
}

// To the block's own [rows, in].
__device__ inline void write_dx(const Layer& l, const DxPart& dx, int row_tile, int part, bool add,
                                float* all) {
  const int first = warp_column() * (8 * kDxN) + 2 * lane_member(), columns = l.in_left(part);
  for (int m = 0; m < kM; ++m)
    for (int half = 0; half < 2; ++half) {
      const int row = row_of(m, half);
      if (row >= l.rows_left(row_tile)) continue;
      float* to = all + (static_cast<int64_t>(row_tile) * kRows + row) * l.in +
                  static_cast<int64_t>(part) * kDepth + first;
      for (int n = 0; n < kDxN; ++n)
        for (int j = 0; j < 2; ++j)
          if (first + 8 * n + j < columns) put(to + 8 * n + j, dx[m][n][2 * half + j], add);
    }
}

__device__ inline void clear(DxPart& dx) {
  for (int m = 0; m < kM; ++m)
    for (int n = 0; n < kDxN; ++n)
      for (int e = 0; e < 4; ++e) dx[m][n][e] = 0;
}

// dx_partials [blocks][rows, in], or null where nobody asks for dx. It stays in registers from tile
// to tile where `in` is one part; with more it is added to the block's partial, part by part.
template <Precision kPrecision>
__global__ void __launch_bounds__(kThreads)
    backward_tiles(Layer l, const float* log_sum_exp, float* dx_partials, DenseGradients g) {
  DynamicShared shared;
  Operands<kPrecision> operands(l, shared);
  float* p = shared.take<float>(kRows * stride_of(kColumns));
  float* dw_tile = shared.take<float>(kDepth * stride_of(kColumns));
  float* sums = shared.take<float>(kWarpRows * kColumns);
  const int first = static_cast<int>(blockIdx.x) * l.tiles_a_block;
  const int end = min(first + l.tiles_a_block, l.tiles);
  float* my_dx = dx_partials ? dx_partials + blockIdx.x * l.rows * l.in : nullptr;
  for (int row_tile = 0; static_cast<int64_t>(row_tile) * kRows < l.rows; ++row_tile) {
    const RowData rows(l, log_sum_exp, row_tile);
    DxPart dx;
    for (int tile = first; tile < end; ++tile) {
      Logits c;
      start_with_bias(l, tile, c);
      for (int step = 0; step < 2 * l.parts; ++step) {  // parts forth for the logits, then back
        const bool forth = step < l.parts;
        const int part = forth ? step : 2 * l.parts - 1 - step;
        operands.bring(row_tile, tile, part);
        if (forth) {
          if (l.parts == 1 && tile + 1 < end) operands.start(tile + 1, part);
          add_logits(l, operands, row_tile, tile, part, c);
          if (step + 1 < l.parts) continue;
          make_gradient<kPrecision>(rows, tile, c, p);
          sum_columns(c, sums);
          __syncthreads();
          write_db(l, sums, tile, row_tile > 0 || g.db_write == Write::add, g.db);
          continue;
        }
        make_dw<kPrecision>(l, operands.x(), p, row_tile, tile, part, dw_tile);
        if (my_dx) {
          if (l.parts > 1 || tile == first) clear(dx);
          add_dx<kPrecision>(l, p, operands.w(), row_tile, tile, part, dx);
          if (l.parts > 1 || tile + 1 == end)
            write_dx(l, dx, row_tile, part, l.parts > 1 && tile > first, my_dx);
        }
        __syncthreads();
        write_dw(l, dw_tile, tile, part, row_tile > 0 || g.dw_write == Write::add, g.dw);
      }
    }
  }
}

Layer layer_of(const VocabularyLossShape& s, const float* x, const float* w, const float* b,
               const int32_t* targets) {
  const int64_t tiles = divide_up(s.classes, kColumns);
  const int64_t blocks = s.blocks > 0 ? s.blocks : multiprocessors();
  return {s.rows,
          s.in,
          s.classes,
          x,
          w,
          b,
          targets,
          static_cast<int>(tiles),
          static_cast<int>(divide_up(tiles, blocks)),
          static_cast<int>(divide_up(s.in, kDepth))};
}

int blocks_of(const Layer& l) { return static_cast<int>(divide_up(l.tiles, l.tiles_a_block)); }

template <Precision kPrecision>
void launch_forward(const Stream& stream, const Layer& l, float2* partials, float* target_logits) {
  const int64_t shared_bytes =
      Operands<kPrecision>::shared_bytes() + DynamicShared::bytes<float2>(kWarpColumns * kRows);
  launch(stream, {"vocabulary_loss_forward", {blocks_of(l)}, {kThreads}, shared_bytes},
         forward_tiles<kPrecision>, l, partials, target_logits);
}

template <Precision kPrecision>
int64_t backward_shared_bytes() {
  return Operands<kPrecision>::shared_bytes() +
         DynamicShared::bytes<float>(kRows * stride_of(kColumns)) +
         DynamicShared::bytes<float>(kDepth * stride_of(kColumns)) +
         DynamicShared::bytes<float>(kWarpRows * kColumns);
}

template <Precision kPrecision>
void launch_backward(const Stream& stream, const Layer& l, const float* log_sum_exp,
                     float* dx_partials, const DenseGradients& gradients) {
  launch(
      stream,
      {"vocabulary_loss_backward", {blocks_of(l)}, {kThreads}, backward_shared_bytes<kPrecision>()},
      backward_tiles<kPrecision>, l, log_sum_exp, dx_partials, gradients);
}

}  // namespace

bool vocabulary_loss_recompute_fits() {  // the same in every precision
  return backward_shared_bytes<Precision::fp32>() <= shared_bytes_a_block();
}

int64_t vocabulary_loss_recompute_scratch(const VocabularyLossShape& s) {
  const Layer l = layer_of(s, nullptr, nullptr, nullptr, nullptr);
  const int64_t forward = s.rows * (2 * l.tiles + 1), backward = blocks_of(l) * s.rows * s.in;
  return forward > backward ? forward : backward;
}

void vocabulary_loss_recompute_forward(const Stream& stream, const VocabularyLossShape& s,
                                       const float* x, const float* w, const float* b,
                                       const int32_t* targets, float* loss, float* log_sum_exp,
                                       float* scratch) {
  const Layer l = layer_of(s, x, w, b, targets);
  float2* partials = reinterpret_cast<float2*>(scratch);
  float* target_logits = scratch + 2 * s.rows * l.tiles;
  if (stream.precision == Precision::fp32)
    launch_forward<Precision::fp32>(stream, l, partials, target_logits);
  else if (stream.precision == Precision::tf32)
    launch_forward<Precision::tf32>(stream, l, partials, target_logits);
  else
    launch_forward<Precision::bf16>(stream, l, partials, target_logits);
  launch(stream, {"vocabulary_loss_combine", {static_cast<int>(s.rows)}, {kCombineThreads}},
         combine, l.tiles, partials, target_logits, loss, log_sum_exp);
}

void vocabulary_loss_recompute_backward(const Stream& stream, const VocabularyLossShape& s,
                                        const float* x, const float* w, const float* b,
                                        const int32_t* targets, const float* log_sum_exp,
                                        float* scratch, const DenseGradients& g) {
  const Layer l = layer_of(s, x, w, b, targets);
  float* dx_partials = g.dx ? scratch : nullptr;
  if (stream.precision == Precision::fp32)
    launch_backward<Precision::fp32>(stream, l, log_sum_exp, dx_partials, g);
  else if (stream.precision == Precision::tf32)
    launch_backward<Precision::tf32>(stream, l, log_sum_exp, dx_partials, g);
  else
    launch_backward<Precision::bf16>(stream, l, log_sum_exp, dx_partials, g);
  const int64_t numbers = s.rows * s.in;
  if (g.dx) column_sums(stream, blocks_of(l), numbers, dx_partials, numbers, g.dx, g.dx_write);
}

}  // namespace etude::kernels::ETUDE_DEVICE
