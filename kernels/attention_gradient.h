#pragma once

// From the products q x^T and dy x^T of a tile back to the weights and the gradients of the scores.

#include "kernels/attention_scores.h"

namespace etude::kernels::ETUDE_DEVICE {

// Of 64 queries, in shared memory.
struct GradientRows {
  float* log_sum;  // [64]
  float* inner;    // [64]: the sum of a da over the row, which is dy . y
  float* partial;  // [64][4]
  __device__ explicit GradientRows(DynamicShared& shared)
      : log_sum(shared.take<float>(kTile)),
        inner(shared.take<float>(kTile)),
        partial(shared.take<float>(4 * kTile)) {}
  static int64_t bytes() {
    return 2 * DynamicShared::bytes<float>(kTile) + DynamicShared::bytes<float>(4 * kTile);
  }
};

__device__ inline void load_log_sums(const GradientRows& to, const AttentionSlice& slice,
                                     const float* log_sum, int64_t i0) {
  const int64_t i = i0 + threadIdx.x;
  if (threadIdx.x < kTile)
    to.log_sum[threadIdx.x] = i < slice.s.time ? log_sum[slice.steps() + i] : 0.0f;
}

template <typename Product, bool Vector>
__device__ float dot_part(const float* a, const float* b, int part, int n) {
  float sum = 0;
  for (int d = 4 * part; d < n; d += 16) {
    const float4 x = load4<Vector>(a + d, n - d), y = load4<Vector>(b + d, n - d);
    sum += Product::rounded(x.x) * y.x + Product::rounded(x.y) * y.y +
           (Product::rounded(x.z) * y.z + Product::rounded(x.w) * y.w);
  }
  return sum;
}

// inner = dy . y, four threads a row; dy as it is in da, so that what a large weight's da and inner
// have in common is the same number.
template <typename Product>
__device__ void load_inner(const GradientRows& to, const AttentionSlice& slice,
                           const TilePlan& plan, const float* dy, const float* y, int64_t i0) {
  const int row = static_cast<int>(threadIdx.x / 4), part = static_cast<int>(threadIdx.x % 4);
  float sum = 0;
  if (i0 + row < slice.s.time) {
    const int64_t at = slice.features(i0 + row);
    sum = plan.vector ? dot_part<Product, true>(dy + at, y + at, part, plan.dim)
                      : dot_part<Product, false>(dy + at, y + at, part, plan.dim);
  }
  sum += __shfl_xor_sync(0xffffffffu, sum, 1);
  sum += __shfl_xor_sync(0xffffffffu, sum, 2);
  if (part == 0) to.inner[row] = sum;
}

// Products become the slopes of their scores, and `weights` what they weigh; 0 outside the band.
__device__ __forceinline__ void make_weights(const AttentionShape& s, const GradientRows& rows,
                                             int64_t i0, int64_t j0, float bias,
                                             ScoreTiles& products, ScoreTiles& weights) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const Span keys = keys_of(s, i0 + score_row(r), j0);
    const float log_sum = rows.log_sum[score_row(r)];
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const float e = attention_score(s, score(products, r, c), bias);
      score(products, r, c) = attention_slope(s, e);
      score(weights, r, c) = keys.has(score_column(c)) ? expf(e - log_sum) : 0.0f;
    }
  }
}

// da becomes the gradient of the products; returns the thread's sum of it.
__device__ __forceinline__ float differentiate(const GradientRows& rows, ScoreTiles& weights,
                                               ScoreTiles& slopes, ScoreTiles& da) {
  float sum = 0;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const float inner = rows.inner[score_row(r)];
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      float& gradient = score(da, r, c);
      gradient = score(weights, r, c) * (gradient - inner) * score(slopes, r, c);
      sum += gradient;
    }
  }
  return sum;
}

}  // namespace etude::kernels::ETUDE_DEVICE
