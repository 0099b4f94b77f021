#pragma once

// What the tiled kernels share: a block of 8 warps works on one tile of 64 queries and tiles of 64
// keys, of one batch row and head; and what it reads into shared memory.

#include "kernels/attention_products.h"
#include "kernels/attention_rows.h"
#include "kernels/dropout_mask.h"

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

// Four features, of which the first `columns` exist; all or none where the rows are Vector.
template <bool Vector>
__device__ float4 load4(const float* from, int columns) {
  if constexpr (Vector)
    return columns > 0 ? *reinterpret_cast<const float4*>(from) : make_float4(0, 0, 0, 0);
  else
    return make_float4(columns > 0 ? from[0] : 0.0f, columns > 1 ? from[1] : 0.0f,
                       columns > 2 ? from[2] : 0.0f, columns > 3 ? from[3] : 0.0f);
}

// 64 rows in global memory, of which `rows` exist, and where they go. Null: they are there. With a
// mask they go through it, the first of them being element `first` of what it is the mask of.
template <typename Product>
struct Source {
  Operand<Product> to;
  const float* from;
  int rows;
  const Mask* mask = nullptr;
  int64_t first = 0;
};

// A thread's part of one stage, in registers: four columns of four rows.
struct Staged {
  float4 values[4];
};
__device__ inline int staged_row(int r) { return static_cast<int>(threadIdx.x / 16) + 16 * r; }
__device__ inline int staged_column(int stage) {
  return stage * kStage + 4 * static_cast<int>(threadIdx.x % 16);
}

template <bool Vector>
__device__ __forceinline__ void fetch_rows(Staged& staged, const float* from, int64_t stride,
                                           int rows, int columns) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    staged.values[r] = make_float4(0, 0, 0, 0);
    if (staged_row(r) < rows)
      staged.values[r] = load4<Vector>(from + staged_row(r) * stride, columns);
  }
}

// Zeros below the rows and right of the columns.
template <typename Product>
__device__ __forceinline__ void fetch(Staged& staged, const Source<Product>& source, int64_t stride,
                                      const TilePlan& plan, int piece, int stage) {
  if (!source.from) return;
  const int column = staged_column(stage), left = piece_columns(plan, piece) - column;
  const float* from = source.from + piece * kPiece + column;
  if (plan.vector)
    fetch_rows<true>(staged, from, stride, source.rows, left);
  else
    fetch_rows<false>(staged, from, stride, source.rows, left);
  if (!source.mask || !source.mask->drops()) return;
  const int64_t first = source.first + piece * kPiece + column;
#pragma unroll
  for (int r = 0; r < 4; ++r)
    if (staged_row(r) < source.rows && left > 0)
      staged.values[r] =
          source.mask->four(first + staged_row(r) * stride, staged.values[r], plan.vector);
}

// Up to the padding of products.
template <typename Product>
__device__ __forceinline__ void store(const Staged& staged, const Source<Product>& source,
                                      int columns, int stage) {
  const int column = staged_column(stage);
  if (!source.from || column >= padded<Product>(columns)) return;
#pragma unroll
  for (int r = 0; r < 4; ++r)
    Product::store4(source.to.words + staged_row(r) * source.to.stride + column / Product::kPerWord,
                    staged.values[r]);
}

template <typename Product>
__device__ void load_piece(const Source<Product>& source, int64_t stride, const TilePlan& plan,
                           int piece) {
  const int columns = piece_columns(plan, piece);
  for (int stage = 0; stage * kStage < columns; ++stage) {
    Staged staged;
    fetch(staged, source, stride, plan, piece, stage);
    store(staged, source, columns, stage);
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
