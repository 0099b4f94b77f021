#pragma once

// What the tiled kernels share: a block of 8 warps works on one tile of 64 queries and tiles of 64
// keys, of one batch row and head; and what it reads into shared memory.

#include "kernels/attention_products.h"
#include "kernels/attention_rows.h"

namespace etude::kernels::ETUDE_DEVICE {

constexpr int kTile = kAttentionTile;
constexpr int kTileThreads = 256;
constexpr int kPiece = 256;  // features in shared memory at a time, and of a result

// How the features are cut. With more than one piece each is the result of a block of its own, and
// every such block makes the scores anew.
struct TilePlan {
  int tiles, pieces;
  int dim, widest;  // features of a head, and of its widest piece
  bool vector;      // rows begin on 16 bytes
};

inline TilePlan tile_plan(const AttentionShape& s) {
  const int dim = static_cast<int>(s.features / s.heads);
  return {static_cast<int>(divide_up(s.time, kTile)), static_cast<int>(divide_up(dim, kPiece)), dim,
          min(dim, kPiece), dim % 4 == 0};
}
inline Extent tile_grid(const AttentionShape& s, const TilePlan& plan) {
  return {static_cast<int>(s.batch * s.heads * plan.tiles * plan.pieces)};
}

// Which part is a block's.
struct TilePlace {
  AttentionSlice slice;
  int64_t first;  // of its 64 rows
  int chunk;      // its piece of the result
};
__device__ inline TilePlace tile_place(const AttentionShape& s, const TilePlan& plan) {
  const int block = static_cast<int>(blockIdx.x), chunk = block % plan.pieces;
  const int tile = block / plan.pieces % plan.tiles, row = block / plan.pieces / plan.tiles;
  return {{s, row / s.heads, row % s.heads}, tile * kTile, chunk};
}

__device__ inline int piece_columns(const TilePlan& plan, int piece) {
  return min(plan.dim - piece * kPiece, kPiece);
}
// Of the rows from `first` on, how many are a tile's.
__device__ inline int tile_rows(int64_t first, int64_t end) {
  return static_cast<int>(end - first < kTile ? end - first : kTile);
}

// Where the keys of a tile of queries end, and the queries of a tile of keys.
__device__ inline int64_t key_end(const AttentionShape& s, int64_t i0) {
  return last_key(s, i0 + tile_rows(i0, s.time) - 1);
}
__device__ inline int64_t query_end(const AttentionShape& s, int64_t j0) {
  return last_query(s, j0 + tile_rows(j0, s.time) - 1);
}

template <typename Product>
constexpr int64_t operand_bytes(int columns) {
  return DynamicShared::bytes<typename Product::Word>(kTile * row_words<Product>(columns));
}
template <typename Product>
__device__ Operand<Product> take_operand(DynamicShared& shared, int columns) {
  const int stride = row_words<Product>(columns);
  return {shared.take<typename Product::Word>(kTile * stride), stride};
}

// Four features, of which the first `columns` exist; all or none where the rows are Vector.
template <bool Vector>
__device__ float4 load4(const float* from, int columns) {
  if constexpr (Vector)
    return columns > 0 ? *reinterpret_cast<const float4*>(from) : make_float4(0, 0, 0, 0);
  else
    return make_float4(columns > 0 ? from[0] : 0.0f, columns > 1 ? from[1] : 0.0f,
                       columns > 2 ? from[2] : 0.0f, columns > 3 ? from[3] : 0.0f);
}

template <bool Vector, typename Product>
__device__ void load_columns(const Operand<Product>& to, const float* from, int64_t stride,
                             int rows, int columns) {
  constexpr int kWarps = kTileThreads / 32, kRows = kTile / kWarps;
  const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
  for (int column = 4 * lane; column < padded<Product>(columns); column += 128) {
    float4 values[kRows];  // all on their way at once
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int row = warp + r * kWarps;
      values[r] = make_float4(0, 0, 0, 0);
      if (row < rows) values[r] = load4<Vector>(from + row * stride + column, columns - column);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      Product::store4(to.words + (warp + r * kWarps) * to.stride + column / Product::kPerWord,
                      values[r]);
  }
}

// One piece of 64 rows, `stride` apart; zeros below `rows`, and right of the columns up to the
// padding of products.
template <typename Product>
__device__ void load_piece(const Operand<Product>& to, const float* from, int64_t stride, int rows,
                           const TilePlan& plan, int piece) {
  const int columns = piece_columns(plan, piece);
  if (plan.vector)
    load_columns<true>(to, from + piece * kPiece, stride, rows, columns);
  else
    load_columns<false>(to, from + piece * kPiece, stride, rows, columns);
}

}  // namespace etude::kernels::ETUDE_DEVICE
