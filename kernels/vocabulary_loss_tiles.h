#pragma once

// For vocabulary_loss_recompute.cu: tiles of matrices in shared memory, and how they come there and
// leave. vocabulary_loss_products.h multiplies them.
//
// Each tile is read both along its rows and along its columns: x and x^T, w and w^T, p twice. In
// either direction the 32 lanes of a load must find 32 banks: 8 lines by 4 neighbours along k. With
// rows 8 (mod 32) floats apart the lines fall on banks 0, 8, 16, 24, and 0 again, so in rows 4 to 7
// of every 8 the columns change places by fours (column ^ 4).

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

__host__ __device__ constexpr int stride_of(int width) {
  return width + 8;
}  // of a tile, width a multiple of 32

template <int kWidth>
__device__ inline int place(int row, int column) {
  return row * stride_of(kWidth) + (column ^ (row & 4));
}

// One operand of a product as a lane reads it: `line` counts along m (or n), k along the sum. Lines
// are rows of the tile, with k along them, or columns, with k across. The lane's own line and k are
// below 8 and 4; what it reads is given as the multiples of 8 beyond them, and `half` tells which
// four of 8 along k.
template <int kWidth, bool kLinesAreRows>
class Lines {
 public:
  __device__ Lines(const float* tile, int first_line, int lane_line, int lane_k) {
    for (int half = 0; half < 2; ++half) {
      const int k = lane_k + 4 * half;
      half_[half] = kLinesAreRows ? tile + first_line * kStride + place<kWidth>(lane_line, k)
                                  : tile + first_line + place<kWidth>(k, lane_line);
    }
  }
  __device__ float read(int half, int line, int k) const {
    const float* at = half == 0 ? half_[0] : half_[1];  // never indexed: half may not be constant
    return at[kLinesAreRows ? line * kStride + k : k * kStride + line];
  }

 private:
  static constexpr int kStride = stride_of(kWidth);
  const float* half_[2];
};

template <int kWidth, bool kLinesAreRows>
struct Operand {
  const float* tile;
  int first_line;  // of this warp; a multiple of 8
  __device__ Lines<kWidth, kLinesAreRows> lines(int lane_line, int lane_k) const {
    return {tile, first_line, lane_line, lane_k};
  }
};
template <int kWidth>
using Rows = Operand<kWidth, true>;
template <int kWidth>
using Columns = Operand<kWidth, false>;

__device__ inline int lane_group() { return static_cast<int>(threadIdx.x) % 32 / 4; }
__device__ inline int lane_member() { return static_cast<int>(threadIdx.x) % 4; }

// What a product reads of a number in a tile. bf16 is rounded where fragments are packed.
template <Precision kPrecision>
__device__ inline float operand(float x) {
  return kPrecision == Precision::tf32 ? __uint_as_float(to_tf32(x)) : x;
}

// Loops over a tile by all threads: a warp has every kWarps-th row, a lane every 32nd number of it,
// the same in each loop. 8 rows are one turn of place()'s pattern, so steps are additions.
constexpr int kWarps = 8;  // of a block
__device__ inline int my_row() { return static_cast<int>(threadIdx.x) / 32; }
__device__ inline int my_column() { return static_cast<int>(threadIdx.x) % 32; }
static_assert(kWarps % 8 == 0);

// Starts to copy rows x columns of a matrix into a tile, zeros where the matrix ends. Rows of the
// matrix may have any width, so nothing wider than a float is aligned.
template <int kHeight, int kWidth>
__device__ inline void copy_tile(float* tile, const float* from, int64_t stride, int rows,
                                 int columns) {
  float* to = tile + place<kWidth>(my_row(), my_column());
  from += my_row() * stride + my_column();
  for (int row = my_row(); row < kHeight; row += kWarps) {
    for (int i = 0; i < kWidth; i += 32)
      cp_async_4(to + i, from + i, row < rows && my_column() + i < columns ? 4 : 0);
    to += kWarps * stride_of(kWidth);
    from += kWarps * stride;
  }
}

// Each thread rounds what it has copied itself: no barrier between.
template <Precision kPrecision, int kHeight, int kWidth>
__device__ inline void round_tile(float* tile) {
  if constexpr (kPrecision == Precision::tf32) {
    float* at = tile + place<kWidth>(my_row(), my_column());
    for (int row = my_row(); row < kHeight; row += kWarps, at += kWarps * stride_of(kWidth))
      for (int i = 0; i < kWidth; i += 32) at[i] = operand<kPrecision>(at[i]);
  }
}

// Adds rows x columns of a tile to a matrix, or writes them there.
template <int kHeight, int kWidth>
__device__ inline void write_tile(const float* tile, float* to, int64_t stride, int rows,
                                  int columns, bool add) {
  const float* from = tile + place<kWidth>(my_row(), my_column());
  to += my_row() * stride + my_column();
  for (int row = my_row(); row < rows; row += kWarps) {
    for (int i = 0; i < kWidth; i += 32)
      if (my_column() + i < columns) to[i] = add ? to[i] + from[i] : from[i];
    from += kWarps * stride_of(kWidth);
    to += kWarps * stride;
  }
}

}  // namespace
}  // namespace etude::kernels::ETUDE_DEVICE
