// Tiles of 64 queries by 64 keys, any number of steps, any features: in shared memory pieces of at
// most 256 columns, each result piece a block of its own. Forward: a block's queries see the tiles
// of keys that their band touches, with a running sum (and, without the sigmoid, maximum).
// Backward: blocks of queries give dq and dba, blocks of keys their part of dx; both make the
// scores anew from q, x and the sums' logarithms, so nothing is added across blocks.
//
// At the paper's sizes (B 96, T 50, F 256) forward is one block of 8 warps on each of 96 SMs, with
// 151 KB (fp32, tf32) or 77 KB (bf16) of shared memory. Floors on an H100:
// * 14.7 MB through L2 at about 5.5 TB/s: 2.7 us;
// * shared memory, 128 bytes a cycle: tf32 3,072 cycles for the scores, 2,048 for the weighted sum
//   (keys by depth beside weights by row: two words to a bank), 2.6 us; bf16 half of it;
// * fp32: 2 x 64 x 64 x 256 FMAs at 128 a cycle, 8.3 us.
// The loads of each 64 columns are on their way while the scores of those before are made, so the
// first two overlap by half: aim 4 us forward (tf32), 10 (fp32).
// Operands are rounded on their way into shared memory, once, not at each use: that is why they
// pass through registers and cp.async is not used. Scores of 32 x 32 a warp, in two halves of the
// depth, would read a third less: not tried.
// The inner product of dy and y takes dy as rounded for da: else what is left of da - inner under a
// weight near 1 is the rounding (dWa of T 3, F 514 without the sigmoid in bf16: 10 % off, now 1.5).
// Measured: not yet, no GPU was at hand.
//
// No spills. Registers for sm_90a (sm_80), fp32, tf32, bf16: forward 254, 228, 221 (246, 228, 226);
// queries' backward 240, 227, 232 (240, 226, 224); keys' 255, 223, 229 (255, 223, 221).

#include "kernels/attention_gradient.h"
#include "kernels/attention_mask.h"
#include "kernels/attention_scores.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

// Static members give the bytes that the constructors take.
template <typename Product>
struct Tiles {
  Operand<Product> rows, keys, weights;  // rows: of queries, or of dy
  __device__ Tiles(DynamicShared& shared, const TilePlan& plan)
      : rows(take_operand<Product>(shared, plan.widest)),
        keys(take_operand<Product>(shared, plan.widest)),
        weights(take_operand<Product>(shared, kTile)) {}
  static int64_t bytes(const TilePlan& plan) {
    return 2 * operand_bytes<Product>(plan.widest) + operand_bytes<Product>(kTile);
  }
};

// The softmax of 64 queries while tiles of keys go by. Every thread keeps the largest score of its
// four rows, and the sum of its own weights in them.
struct Softmax {
  const AttentionShape& s;
  float* partial;  // [64][4], one from each warp that has scores of the row
  float* factor;   // [64], for the results' rows
  float largest[4], sum[4];

  __device__ Softmax(DynamicShared& shared, const AttentionShape& shape)
      : s(shape), partial(shared.take<float>(4 * kTile)), factor(shared.take<float>(kTile)) {
#pragma unroll
    for (int r = 0; r < 4; ++r) largest[r] = attention_lowest(s), sum[r] = 0;
  }
  static int64_t bytes() {
    return DynamicShared::bytes<float>(4 * kTile) + DynamicShared::bytes<float>(kTile);
  }

  // Products to scores; the lowest, and no weight, outside the band. With the sigmoid `largest`
  // stays 0, and nothing needs to be rescaled.
  __device__ __forceinline__ void weigh(ScoreTiles& scores, int64_t i0, int64_t j0, float bias) {
    Span keys[4];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      keys[r] = keys_of(s, i0 + score_row(r), j0);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        float& e = score(scores, r, c);
        e = keys[r].has(score_column(c)) ? attention_score(s, e, bias) : attention_lowest(s);
      }
    }
    if (!s.sigmoid) raise_largest(scores);
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        float& e = score(scores, r, c);
        e = keys[r].has(score_column(c)) ? expf(e - largest[r]) : 0.0f;
        sum[r] += e;
      }
  }

  __device__ __forceinline__ void raise_largest(ScoreTiles& scores) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      float mine = fmaxf(fmaxf(score(scores, r, 0), score(scores, r, 1)),
                         fmaxf(score(scores, r, 2), score(scores, r, 3)));
      mine = fmaxf(mine, __shfl_xor_sync(0xffffffffu, mine, 1));
      mine = fmaxf(mine, __shfl_xor_sync(0xffffffffu, mine, 2));
      if (lane_member() == 0) partial[4 * score_row(r) + score_columns() / 16] = mine;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const float* row = partial + 4 * score_row(r);
      const float larger = fmaxf(fmaxf(fmaxf(row[0], row[1]), fmaxf(row[2], row[3])), largest[r]);
      const float shrink = expf(largest[r] - larger);
      largest[r] = larger;
      sum[r] *= shrink;
      if (lane_member() == 0 && score_columns() == 0) factor[score_row(r)] = shrink;
    }
  }

  // `factor` becomes what divides the results' rows; log_sum [64] is written if it is not null.
  __device__ void finish(float* log_sum, int rows) {
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      float mine = sum[r];
      mine += __shfl_xor_sync(0xffffffffu, mine, 1);
      mine += __shfl_xor_sync(0xffffffffu, mine, 2);
      if (lane_member() == 0) partial[4 * score_row(r) + score_columns() / 16] = mine;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int i = score_row(r);
      if (lane_member() != 0 || score_columns() != 0) continue;
      const float* row = partial + 4 * i;
      const float total = row[0] + row[1] + row[2] + row[3];
      factor[i] = 1.0f / total;
      if (log_sum && i < rows) log_sum[i] = largest[r] + logf(total);
    }
    __syncthreads();
  }
};

__device__ __forceinline__ void scale_rows(ResultTiles& result, const float* factor) {
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const float scale = factor[8 * r + lane_group()];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      result[r / 2][n][r % 2 * 2] *= scale;
      result[r / 2][n][r % 2 * 2 + 1] *= scale;
    }
  }
}

template <typename Product>
__global__ void __launch_bounds__(kTileThreads)
    forward(AttentionShape s, TilePlan plan, AttentionForwardArrays p, MaskArgument dropout) {
  DynamicShared shared;
  const Tiles<Product> tiles(shared, plan);
  Softmax softmax(shared, s);
  const TilePlace at = tile_place(s, plan);
  const int64_t i0 = at.first, base = at.slice.features(0), end = key_end(s, i0);
  const int rows = tile_rows(i0, s.time), columns = piece_columns(plan, at.chunk);
  ResultTiles y = {};
  for (int64_t j0 = first_key(s, i0); j0 < end; j0 += kTile) {
    const int keys = tile_rows(j0, end);
    const bool load_queries = plan.pieces > 1 || j0 == first_key(s, i0);
    const Source<Product> queries[1] = {
        {tiles.rows, load_queries ? p.query + base + i0 * s.features : nullptr, rows}};
    const Source<Product> x = {tiles.keys, p.x + base + j0 * s.features, keys};
    ScoreTiles scores[1] = {};
    // A block's own piece comes last: it then lies there for the weighted sum.
    for (int n = 1; n <= plan.pieces; ++n)
      load_and_score(scores, queries, x, s.features, plan, (at.chunk + n) % plan.pieces);
    softmax.weigh(scores[0], i0, j0, p.ba[at.slice.head]);
    store_scores(tiles.weights, scores[0]);
    __syncthreads();
    if (!s.sigmoid) scale_rows(y, softmax.factor);
    add_result<Order::by_row>(y, tiles.weights, tiles.keys, keys, columns);
  }
  softmax.finish(at.chunk == 0 ? p.log_sum + at.slice.steps() + i0 : nullptr, rows);
  scale_rows(y, softmax.factor);
  const Mask mask(dropout);
  if (mask.drops())
    mask_result(mask, y, base + i0 * s.features + at.chunk * kPiece, s.features, columns,
                plan.vector);
  write_result(y, p.y + base + i0 * s.features + at.chunk * kPiece, s.features, rows, columns,
               plan.dim % 2 == 0, Write::overwrite);
}

// Products of a tile of queries with one of keys: q x^T, and da = dy x^T. Leaves the block's own
// pieces of dy and x in tiles.rows and tiles.keys.
template <typename Product>
__device__ __forceinline__ void make_products(const Tiles<Product>& tiles, const AttentionShape& s,
                                              const TilePlan& plan, const TilePlace& at,
                                              const AttentionBackwardArrays& p, int64_t i0,
                                              int64_t j0, ScoreTiles (&products)[1],
                                              ScoreTiles (&da)[1]) {
  const int rows = tile_rows(i0, s.time);
  const int64_t i = at.slice.features(i0);
  const Source<Product> queries[1] = {{tiles.rows, p.query + i, rows}};
  const Source<Product> dy[1] = {{tiles.rows, p.dy + i, rows}};
  const Source<Product> x = {tiles.keys, p.x + at.slice.features(j0), tile_rows(j0, s.time)};
  for (int n = 1; n <= plan.pieces; ++n) {
    const int piece = (at.chunk + n) % plan.pieces;
    load_and_score(products, queries, x, s.features, plan, piece);
    load_and_score(da, dy, {tiles.keys, nullptr, 0}, s.features, plan, piece);
  }
}

// dq of a tile of queries, and its part of dba.
template <typename Product>
__global__ void __launch_bounds__(kTileThreads)
    backward_query(AttentionShape s, TilePlan plan, AttentionBackwardArrays p) {
  DynamicShared shared;
  const Tiles<Product> tiles(shared, plan);
  const GradientRows rows(shared);
  const TilePlace at = tile_place(s, plan);
  const int64_t i0 = at.first, end = key_end(s, i0);
  const int columns = piece_columns(plan, at.chunk);
  load_log_sums(rows, at.slice, p.log_sum, i0);
  load_inner<Product>(rows, at.slice, plan, p.dy, p.y, i0);
  ResultTiles dquery = {};
  float bias_gradient = 0;
  for (int64_t j0 = first_key(s, i0); j0 < end; j0 += kTile) {
    ScoreTiles products[1] = {}, ds[1] = {}, a;
    make_products(tiles, s, plan, at, p, i0, j0, products, ds);
    make_weights(s, rows, i0, j0, p.ba[at.slice.head], products[0], a);
    bias_gradient += differentiate(rows, a, products[0], ds[0]);
    store_scores(tiles.weights, ds[0]);
    __syncthreads();
    add_result<Order::by_row>(dquery, tiles.weights, tiles.keys, tile_rows(j0, s.time), columns);
  }
  bias_gradient = block_sum(bias_gradient, rows.partial);
  if (threadIdx.x == 0 && at.chunk == 0)
    p.dba_parts[at.slice.part(plan.tiles, i0 / kTile)] = bias_gradient;
  write_result(dquery, p.dquery + at.slice.features(i0) + at.chunk * kPiece, s.features,
               tile_rows(i0, s.time), columns, plan.dim % 2 == 0, Write::overwrite);
}

// The part of dx that a tile of keys has from its queries: a^T dy + ds^T q.
template <typename Product>
__global__ void __launch_bounds__(kTileThreads)
    backward_key(AttentionShape s, TilePlan plan, AttentionBackwardArrays p) {
  DynamicShared shared;
  const Tiles<Product> tiles(shared, plan);
  const GradientRows rows(shared);
  const TilePlace at = tile_place(s, plan);
  const int64_t j0 = at.first, end = query_end(s, j0);
  const int columns = piece_columns(plan, at.chunk);
  ResultTiles dx = {};
  for (int64_t i0 = first_query(s, j0); i0 < end; i0 += kTile) {
    const int queries = tile_rows(i0, s.time);
    ScoreTiles products[1] = {}, ds[1] = {}, a;
    load_log_sums(rows, at.slice, p.log_sum, i0);  // of the last tile nobody reads them any more
    load_inner<Product>(rows, at.slice, plan, p.dy, p.y, i0);
    make_products(tiles, s, plan, at, p, i0, j0, products, ds);
    make_weights(s, rows, i0, j0, p.ba[at.slice.head], products[0], a);
    differentiate(rows, a, products[0], ds[0]);
    store_scores(tiles.weights, a);
    __syncthreads();
    add_result<Order::by_depth>(dx, tiles.weights, tiles.rows, queries, columns);
    __syncthreads();
    store_scores(tiles.weights, ds[0]);
    load_piece<Product>({tiles.rows, p.query + at.slice.features(i0), queries}, s.features, plan,
                        at.chunk);
    __syncthreads();
    add_result<Order::by_depth>(dx, tiles.weights, tiles.rows, queries, columns);
  }
  write_result(dx, p.dx + at.slice.features(j0) + at.chunk * kPiece, s.features,
               tile_rows(j0, s.time), columns, plan.dim % 2 == 0, p.dx_write);
}

template <typename Product>
void run_forward(const Stream& stream, const AttentionShape& s, const AttentionForwardArrays& p) {
  const TilePlan plan = tile_plan(s);
  launch(stream,
         {"attention_forward_tiled",
          tile_grid(s, plan),
          {kTileThreads},
          Tiles<Product>::bytes(plan) + Softmax::bytes()},
         forward<Product>, s, plan, p, mask_argument(p.dropout));
}

template <typename Product>
void run_backward(const Stream& stream, const AttentionShape& s, const AttentionBackwardArrays& p) {
  const TilePlan plan = tile_plan(s);
  const int64_t bytes = Tiles<Product>::bytes(plan) + GradientRows::bytes();
  launch(stream, {"attention_query_tiled", tile_grid(s, plan), {kTileThreads}, bytes},
         backward_query<Product>, s, plan, p);
  launch(stream, {"attention_key_tiled", tile_grid(s, plan), {kTileThreads}, bytes},
         backward_key<Product>, s, plan, p);
}

}  // namespace

// Asked when memory is taken, before a stream is known: of the words that need most.
bool attention_tiled_fits(const AttentionShape& s) {
  return Tiles<ExactProduct>::bytes(tile_plan(s)) + GradientRows::bytes() <= shared_bytes_a_block();
}

void attention_forward_tiled(const Stream& stream, const AttentionShape& s,
                             const AttentionForwardArrays& p) {
  if (stream.precision == Precision::fp32) return run_forward<ExactProduct>(stream, s, p);
  if (stream.precision == Precision::tf32) return run_forward<Tf32Product>(stream, s, p);
  run_forward<Bf16Product>(stream, s, p);
}

void attention_backward_tiled(const Stream& stream, const AttentionShape& s,
                              const AttentionBackwardArrays& p) {
  if (stream.precision == Precision::fp32) return run_backward<ExactProduct>(stream, s, p);
  if (stream.precision == Precision::tf32) return run_backward<Tf32Product>(stream, s, p);
  run_backward<Bf16Product>(stream, s, p);
}

}  // namespace etude::kernels::ETUDE_DEVICE
