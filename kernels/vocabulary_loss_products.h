#pragma once

// For vocabulary_loss_recompute.cu: a warp's product of two tiles in any precision, with the
// accumulators where the tensor cores have them: of 16 x 8 elements, lane 4 g + m holds (g, 2 m +
// 0, 1) and (g + 8, 2 m + 0, 1).

#include "kernels/vocabulary_loss_tiles.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

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

}  // namespace
}  // namespace etude::kernels::ETUDE_DEVICE
