#pragma once

// What the tiled kernels share: a block of 8 warps works on one tile of 64 queries and tiles of 64
// keys, of one batch row and head.

#include "kernels/attention_products.h"
#include "kernels/attention_rows.h"

namespace etude::kernels::ETUDE_DEVICE {

constexpr int kTile = kAttentionTile;
constexpr int kTileThreads = 256;
constexpr int kPiece = 256;  // features in shared memory at a time, and of a result
constexpr int kStage = 64;   // of those, how many are on their way while others are used

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

}  // namespace etude::kernels::ETUDE_DEVICE
