#pragma once

// For vocabulary_loss_recompute.cu: tiles of matrices in shared memory, and a warp's product of two
// of them in any precision, with the accumulators where the tensor cores have them: of 16 x 8
// elements, lane 4 g + m holds (g, 2 m + 0, 1) and (g + 8, 2 m + 0, 1).
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

// A lane's part of 16 kM x 8 and 8 x 8 kN, as mma_tf32 wants it.
template <int kM, int kN>
struct Fragments8 {
  uint32_t a[kM][4], b[kN][2];

  template <typename A, typename B>
  __device__ void load(const A& lines_of_a, const B& lines_of_b, int k) {
    for (int m = 0; m < kM; ++m)
      for (int i = 0; i < 4; ++i)
        a[m][i] = __float_as_uint(lines_of_a.read(i / 2, 16 * m + i % 2 * 8, k));
    for (int n = 0; n < kN; ++n)
      for (int i = 0; i < 2; ++i) b[n][i] = __float_as_uint(lines_of_b.read(i, 8 * n, k));
  }
};

// The numbers of the tiles are rounded already.
template <int kM, int kN, typename A, typename B>
__device__ inline void multiply_tf32(float (&c)[kM][kN][4], const A& a, const B& b, int depth) {
  const auto lines_of_a = a.lines(lane_group(), lane_member());
  const auto lines_of_b = b.lines(lane_group(), lane_member());
  for (int k = 0; k < depth; k += 8) {
    Fragments8<kM, kN> f;
    f.load(lines_of_a, lines_of_b, k);
    for (int m = 0; m < kM; ++m)
      for (int n = 0; n < kN; ++n) mma_tf32(c[m][n], f.a[m], f.b[n]);
  }
}

// Two steps of 8 make one of 16. The instruction's neighbours along k, 2 m and 2 m + 1, are here m
// and m + 4: the order of a sum's terms is free, if both operands have the same.
template <int kM, int kN, typename A, typename B>
__device__ inline void multiply_bf16(float (&c)[kM][kN][4], const A& a, const B& b, int depth) {
  const auto lines_of_a = a.lines(lane_group(), lane_member());
  const auto lines_of_b = b.lines(lane_group(), lane_member());
  for (int k = 0; k < depth; k += 16) {
    uint32_t packed_a[kM][4], packed_b[kN][2];
    for (int step = 0; step < 2; ++step) {
      Fragments8<kM, kN> f;
      f.load(lines_of_a, lines_of_b, k + 8 * step);
      for (int m = 0; m < kM; ++m)
        for (int i = 0; i < 2; ++i)
          packed_a[m][2 * step + i] =
              pack_bf16(__uint_as_float(f.a[m][i]), __uint_as_float(f.a[m][i + 2]));
      for (int n = 0; n < kN; ++n)
        packed_b[n][step] = pack_bf16(__uint_as_float(f.b[n][0]), __uint_as_float(f.b[n][1]));
    }
    for (int m = 0; m < kM; ++m)
      for (int n = 0; n < kN; ++n) mma_bf16(c[m][n], packed_a[m], packed_b[n]);
  }
}

// A lane needs all of k for its lines g, g + 8 and 2 m, 2 m + 1.
template <int kM, int kN, typename A, typename B>
__device__ inline void multiply_fp32(float (&c)[kM][kN][4], const A& a, const B& b, int depth) {
  const auto lines_of_a = a.lines(lane_group(), 0);
  const auto even_b = b.lines(2 * lane_member(), 0), odd_b = b.lines(2 * lane_member() + 1, 0);
  for (int k = 0; k < depth; k += 8)
    for (int i = 0; i < 8; ++i) {
      const int half = i / 4, step = k + i % 4;
      float from_a[kM][2], from_b[kN][2];
      for (int m = 0; m < kM; ++m)
        for (int r = 0; r < 2; ++r) from_a[m][r] = lines_of_a.read(half, 16 * m + 8 * r, step);
      for (int n = 0; n < kN; ++n) {
        from_b[n][0] = even_b.read(half, 8 * n, step);
        from_b[n][1] = odd_b.read(half, 8 * n, step);
      }
      for (int m = 0; m < kM; ++m)
        for (int n = 0; n < kN; ++n)
          for (int e = 0; e < 4; ++e)
            c[m][n][e] = fmaf(from_a[m][e / 2], from_b[n][e % 2], c[m][n][e]);
    }
}

// c += a b over a depth that is a multiple of 16. By all lanes of a warp.
template <Precision kPrecision, int kM, int kN, typename A, typename B>
__device__ inline void multiply(float (&c)[kM][kN][4], const A& a, const B& b, int depth) {
  if constexpr (kPrecision == Precision::fp32)
    multiply_fp32(c, a, b, depth);
  else if constexpr (kPrecision == Precision::tf32)
    multiply_tf32(c, a, b, depth);
  else
    multiply_bf16(c, a, b, depth);
}

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
