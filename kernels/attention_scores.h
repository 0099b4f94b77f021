#pragma once

// What a tiled block has in registers: 64 x 64 scores, a warp 32 x 16 of them; and results, 64 rows
// of at most 256 features, a warp every eighth column of 8.

#include "kernels/attention_load.h"
#include "kernels/attention_mma.h"

namespace etude::kernels::ETUDE_DEVICE {

using ScoreTiles = float[2][2][4];
using ResultTiles = float[4][4][4];

// A thread has 4 x 4 of the scores, in the layout of products.
__device__ inline int score_rows() { return static_cast<int>(threadIdx.x / 128) * 32; }
__device__ inline int score_columns() { return static_cast<int>(threadIdx.x / 32 % 4) * 16; }
__device__ inline int score_row(int r) { return score_rows() + 8 * r + lane_group(); }
__device__ inline int score_column(int c) {
  return score_columns() + c / 2 * 8 + 2 * lane_member() + c % 2;
}
__device__ __forceinline__ float& score(ScoreTiles& scores, int r, int c) {
  return scores[r / 2][c / 2][r % 2 * 2 + c % 2];
}

// The keys of query i, counted from j0.
struct Span {
  int first, last;
  __device__ bool has(int column) const { return first <= column && column < last; }
};
__device__ inline Span keys_of(const AttentionShape& s, int64_t i, int64_t j0) {
  if (i >= s.time) return {0, 0};
  return {static_cast<int>(first_key(s, i) - j0), static_cast<int>(last_key(s, i) - j0)};
}

// scores[l] += left[l] right^T over columns `first` to `last` of what lies in shared memory.
template <int L, typename Product>
__device__ __forceinline__ void add_scores(ScoreTiles (&scores)[L],
                                           const Source<Product> (&left)[L],
                                           const Source<Product>& right, int first, int last) {
#pragma unroll Product::kAhead
  for (int k = first; k < last; k += Product::kDepth) {
    typename Product::B b[2];
#pragma unroll
    for (int n = 0; n < 2; ++n)
      b[n] = Product::template load_b<Order::by_row, Order::by_row>(right.to,
                                                                    score_columns() + 8 * n, k);
#pragma unroll
    for (int l = 0; l < L; ++l)
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const auto a = Product::template load_a<Order::by_row, Order::by_row>(
            left[l].to, score_rows() + 16 * m, k);
#pragma unroll
        for (int n = 0; n < 2; ++n) Product::multiply(scores[l][m][n], a, b[n]);
      }
  }
}

// The same over one piece, which is loaded meanwhile, each stage while the one before is used.
// Begins where every thread may still read what lay there.
template <int L, typename Product>
__device__ __forceinline__ void load_and_score(ScoreTiles (&scores)[L],
                                               const Source<Product> (&left)[L],
                                               const Source<Product>& right, int64_t stride,
                                               const TilePlan& plan, int piece) {
  const int columns = piece_columns(plan, piece);
  Staged next_left[L], next_right;
#pragma unroll
  for (int l = 0; l < L; ++l) fetch(next_left[l], left[l], stride, plan, piece, 0);
  fetch(next_right, right, stride, plan, piece, 0);
  __syncthreads();
  for (int stage = 0; stage * kStage < columns; ++stage) {
#pragma unroll
    for (int l = 0; l < L; ++l) store(next_left[l], left[l], columns, stage);
    store(next_right, right, columns, stage);
    __syncthreads();
    const int end = (stage + 1) * kStage;
    if (end < columns) {
#pragma unroll
      for (int l = 0; l < L; ++l) fetch(next_left[l], left[l], stride, plan, piece, stage + 1);
      fetch(next_right, right, stride, plan, piece, stage + 1);
    }
    add_scores(scores, left, right, stage * kStage, min(end, columns));
  }
}

template <typename Product>
__device__ __forceinline__ void store_scores(const Operand<Product>& to, ScoreTiles& scores) {
#pragma unroll
  for (int r = 0; r < 4; ++r)
#pragma unroll
    for (int c = 0; c < 4; c += 2)
      Product::store2(to.words + score_row(r) * to.stride + score_column(c) / Product::kPerWord,
                      score(scores, r, c), score(scores, r, c + 1));
}

// c += a b, of a warp: M tiles of 16 rows from a's `row` on; N of 8 columns, the first at `column`,
// `step` apart, those at `columns` or beyond left out. `depth` is padded with zeros to kDepth.
template <Order order_a, Order order_b, typename Product, int M, int N>
__device__ __forceinline__ void multiply(float (&c)[M][N][4], const Operand<Product>& a, int row,
                                         const Operand<Product>& b, int column, int step,
                                         int columns, int depth) {
  for (int k = 0; k < depth; k += Product::kDepth) {
    typename Product::A left[M];
#pragma unroll
    for (int m = 0; m < M; ++m)
      left[m] = Product::template load_a<order_a, order_b>(a, row + 16 * m, k);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (column + n * step >= columns) continue;
      const auto right = Product::template load_b<order_b, order_a>(b, column + n * step, k);
#pragma unroll
      for (int m = 0; m < M; ++m) Product::multiply(c[m][n], left[m], right);
    }
  }
}

__device__ inline int result_column() { return static_cast<int>(threadIdx.x / 32) * 8; }

// result += left right, `left` 64 x 64 as it lies or transposed.
template <Order order, typename Product>
__device__ __forceinline__ void add_result(ResultTiles& result, const Operand<Product>& left,
                                           const Operand<Product>& right, int depth, int columns) {
  multiply<order, Order::by_depth>(result, left, 0, right, result_column(), 64, columns, depth);
}

// To rows `stride` apart. Element [m][n][q] of a result is in row 16 m + 8 (q / 2) + group.
__device__ __forceinline__ void write_result(const ResultTiles& result, float* to, int64_t stride,
                                             int rows, int columns, bool pairs, Write write) {
#pragma unroll
  for (int m = 0; m < 4; ++m)
#pragma unroll
    for (int n = 0; n < 4; ++n)
#pragma unroll
      for (int q = 0; q < 4; q += 2) {
        const int row = 16 * m + 4 * q + lane_group();
        const int column = result_column() + 64 * n + 2 * lane_member();
        if (row < rows)
          write_pair(to + row * stride + column, result[m][n][q], result[m][n][q + 1],
                     columns - column, pairs, write);
      }
}

}  // namespace etude::kernels::ETUDE_DEVICE
