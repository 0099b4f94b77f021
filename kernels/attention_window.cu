// Backward of at most 64 steps and 256 features a head: a block a batch row and head has x, q and
// dy in shared memory, makes the scores once, and from them both dq and dx. Forward is that of
// attention_tiled.cu, which has one tile of each then.
//
// At the paper's sizes (B 96, T 50, F 256): 219 KB of shared memory in fp32 and tf32, 112 KB in
// bf16, so that on sm_80 (163 KB) fp32 and tf32 fall back to tiled above 184 features. Floors on an
// H100, of 96 busy SMs: 24.6 MB through L2 at about 5.5 TB/s, 4.5 us; shared memory 5,120 + 2 x
// 1,536 + 2,048 cycles in tf32, 5.2 us, bf16 6,656, 3.4; fp32 5 products of 1 M FMAs at 128 a
// cycle, 21 us. The reads overlap with the scores, the writes with nothing: aim 8 us (tf32), 6
// (bf16), 24 (fp32). tiled does the scores twice and reads x, q and dy twice: 7 products for 5.
// Measured: not yet, no GPU was at hand.
// No spills; registers 240 (fp32), 184 (tf32), 194 (bf16) for sm_90a, 198, 180, 188 for sm_80.

#include "kernels/attention_gradient.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

template <typename Product>
int64_t shared_bytes(const TilePlan& plan) {
  return 3 * operand_bytes<Product>(plan.widest) + operand_bytes<Product>(kTile) +
         GradientRows::bytes();
}

// inner from a and da themselves: what de leaves of da is then 0 where it should be.
__device__ __forceinline__ void reduce_inner(const GradientRows& rows, ScoreTiles& weights,
                                             ScoreTiles& da) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    float sum = 0;
#pragma unroll
    for (int c = 0; c < 4; ++c) sum += score(weights, r, c) * score(da, r, c);
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    if (lane_member() == 0) rows.partial[4 * score_row(r) + score_columns() / 16] = sum;
  }
  __syncthreads();
  if (threadIdx.x < kTile) {
    const float* row = rows.partial + 4 * threadIdx.x;
    rows.inner[threadIdx.x] = row[0] + row[1] + row[2] + row[3];
  }
  __syncthreads();
}

template <typename Product>
__global__ void __launch_bounds__(kTileThreads)
    backward(AttentionShape s, TilePlan plan, AttentionBackwardArrays p, MaskArgument dropout) {
  DynamicShared shared;
  const auto queries = take_operand<Product>(shared, plan.widest);
  const auto keys = take_operand<Product>(shared, plan.widest);
  const auto dy = take_operand<Product>(shared, plan.widest);
  const auto weights = take_operand<Product>(shared, kTile);
  const GradientRows rows(shared);
  const AttentionSlice slice = tile_place(s, plan).slice;
  const int64_t base = slice.features(0);
  const int time = static_cast<int>(s.time);
  load_log_sums(rows, slice, p.log_sum, 0);
  const Mask mask(dropout);
  const Source<Product> left[2] = {{queries, p.query + base, time},
                                   {dy, p.dy + base, time, &mask, base}};
  ScoreTiles both[2] = {}, a;
  load_and_score(both, left, {keys, p.x + base, time}, s.features, plan, 0);
  ScoreTiles &products = both[0], &ds = both[1];  // ds: dy x^T first
  make_weights(s, rows, 0, 0, p.ba[slice.head], products, a);
  store_scores(weights, a);
  reduce_inner(rows, a, ds);
  float bias_gradient = differentiate(rows, a, products, ds);

  ResultTiles dx = {};
  add_result<Order::by_depth>(dx, weights, dy, time, plan.dim);
  __syncthreads();
  store_scores(weights, ds);
  bias_gradient = block_sum(bias_gradient, rows.partial);
  if (threadIdx.x == 0) p.dba_parts[slice.part(1, 0)] = bias_gradient;
  add_result<Order::by_depth>(dx, weights, queries, time, plan.dim);
  const bool pairs = plan.dim % 2 == 0;
  write_result(dx, p.dx + base, s.features, time, plan.dim, pairs, p.dx_write);
  ResultTiles dquery = {};
  add_result<Order::by_row>(dquery, weights, keys, time, plan.dim);
  write_result(dquery, p.dquery + base, s.features, time, plan.dim, pairs, Write::overwrite);
}

int64_t shared_bytes(Precision precision, const TilePlan& plan) {
  if (precision == Precision::fp32) return shared_bytes<ExactProduct>(plan);
  if (precision == Precision::tf32) return shared_bytes<Tf32Product>(plan);
  return shared_bytes<Bf16Product>(plan);
}

}  // namespace

bool attention_window_fits(const Stream& stream, const AttentionShape& s) {
  const TilePlan plan = tile_plan(s);
  return plan.tiles == 1 && plan.pieces == 1 &&
         shared_bytes(stream.precision, plan) <= shared_bytes_a_block();
}

void attention_backward_window(const Stream& stream, const AttentionShape& s,
                               const AttentionBackwardArrays& p) {
  const TilePlan plan = tile_plan(s);
  const auto kernel = stream.precision == Precision::fp32   ? backward<ExactProduct>
                      : stream.precision == Precision::tf32 ? backward<Tf32Product>
                                                            : backward<Bf16Product>;
  launch(stream,
         {"attention_backward_window",
          tile_grid(s, plan),
          {kTileThreads},
          shared_bytes(stream.precision, plan)},
         kernel, s, plan, p, mask_argument(p.dropout));
}

}  // namespace etude::kernels::ETUDE_DEVICE
