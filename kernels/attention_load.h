#pragma once

// What the tiled kernels read into shared memory: 64 rows, 64 columns of them at a time, through
// registers, so that a stage is on its way while the one before is used.

#include "kernels/attention_tile.h"
#include "kernels/dropout_mask.h"

namespace etude::kernels::ETUDE_DEVICE {

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
