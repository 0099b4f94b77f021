#pragma once

// What crosses a vector's lanes: sums over them, interleaving, transposing, products of 64 bits.

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <utility>

#include "kernels/simd.h"

namespace etude::kernels::cpu {

namespace detail {

// Written as initialisers: a shuffle is one instruction only where its pattern is a constant.
template <int Half, int... Lane>
inline IntVec across(std::integer_sequence<int, Lane...>) {
  return IntVec{(Lane ^ Half)...};
}
template <int First, int... Lane>
inline IntVec interleaved(std::integer_sequence<int, Lane...>) {
  return IntVec{(First + Lane / 2 + Lane % 2 * kLanes)...};
}
using Lanes = std::make_integer_sequence<int, kLanes>;

// Lanes are combined pairwise: a fixed order.
template <int Half = kLanes / 2, typename Combine>
inline float horizontal(Vec v, const Combine& combine) {
  v = combine(v, __builtin_shuffle(v, across<Half>(Lanes{})));
  if constexpr (Half > 1) return horizontal<Half / 2>(v, combine);
  return v[0];
}

}  // namespace detail

inline float horizontal_sum(Vec v) {
  return detail::horizontal(v, [](Vec a, Vec b) { return a + b; });
}
inline float horizontal_max(Vec v) { return detail::horizontal(v, maximum); }

// a0 b0 a1 b1 ...: the first kLanes of them, and the others.
template <typename V>
inline V interleave_low(V a, V b) {
  return __builtin_shuffle(a, b, detail::interleaved<0>(detail::Lanes{}));
}
template <typename V>
inline V interleave_high(V a, V b) {
  return __builtin_shuffle(a, b, detail::interleaved<kLanes / 2>(detail::Lanes{}));
}

// rows[i][j] to rows[j][i]: in each round the first half is interleaved with the second.
inline void transpose(Vec (&rows)[kLanes]) {
#pragma GCC unroll 8
  for (int round = 1; round < kLanes; round *= 2) {
    Vec next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = interleave_low(rows[i], rows[i + kLanes / 2]);
      next[2 * i + 1] = interleave_high(rows[i], rows[i + kLanes / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

// The low and the high halves of 32 by 32 bits.
inline void multiply_wide(UintVec a, uint32_t b, UintVec& low, UintVec& high) {
#if defined(__AVX512F__)
  // The instruction takes every other lane. With a mask of all lanes, for GCC 12 warns of what its
  // functions without one leave undefined.
  const auto x = std::bit_cast<__m512i>(a), y = _mm512_set1_epi32(static_cast<int>(b));
  const auto multiply = [](__m512i u, __m512i v) { return _mm512_maskz_mul_epu32(0xFF, u, v); };
  const auto upper = [](__m512i u) { return _mm512_maskz_srli_epi64(0xFF, u, 32); };
  const __m512i even = multiply(x, y), odd = multiply(upper(x), y);
  low = std::bit_cast<UintVec>(
      _mm512_mask_blend_epi32(0xAAAA, even, _mm512_maskz_slli_epi64(0xFF, odd, 32)));
  high = std::bit_cast<UintVec>(_mm512_mask_blend_epi32(0xAAAA, upper(even), odd));
#else
  for (int i = 0; i < kLanes; ++i) {
    const uint64_t product = uint64_t{a[i]} * b;
    low[i] = static_cast<uint32_t>(product);
    high[i] = static_cast<uint32_t>(product >> 32);
  }
#endif
}

}  // namespace etude::kernels::cpu
