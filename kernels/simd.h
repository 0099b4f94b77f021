#pragma once

// Vectors as wide as the processor that Etude is compiled for, by the compiler's vector extension:
// arithmetic operators act on all lanes, so that a formula reads as a formula.

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

namespace etude::kernels::cpu {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
inline constexpr int kRegisters = 32;
#elif defined(__AVX__)
inline constexpr int kLanes = 8;
inline constexpr int kRegisters = 16;
#else
inline constexpr int kLanes = 4;
inline constexpr int kRegisters = 16;
#endif

using Vec = float __attribute__((vector_size(kLanes * 4)));
using IntVec = int32_t __attribute__((vector_size(kLanes * 4)));
using UintVec = uint32_t __attribute__((vector_size(kLanes * 4)));

// Subtracting 0 changes no number, not even -0, so the compiler drops it.
inline Vec broadcast(float value) { return value - Vec{}; }

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

// The first n lanes, n <= kLanes; the others are 0, and memory behind them is not touched.
inline Vec load(const float* p, int64_t n) {
  if (n >= kLanes) return load(p);
  Vec v{};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

inline void store(float* p, Vec v, int64_t n) {
  if (n >= kLanes) return store(p, v);
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

inline Vec select(IntVec condition, Vec yes, Vec no) { return condition ? yes : no; }
inline Vec maximum(Vec a, Vec b) { return select(a > b, a, b); }
inline Vec minimum(Vec a, Vec b) { return select(a < b, a, b); }

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

namespace detail {

// x = n ln 2 + r with r in [-ln 2 / 2, ln 2 / 2]; `power` is 2^n. x from -87.3 to 88.
struct Reduced {
  Vec r;
  IntVec exponent;  // n, where a float keeps its exponent
};

inline Reduced reduce(Vec x) {
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const Vec shifted = x * 1.44269504f + 12582912.0f;
  const Vec n = shifted - 12582912.0f;
  return {(x - n * 0.693359375f) + n * 2.12194440e-4f,  // ln 2 in two parts
          std::bit_cast<IntVec>(shifted) << 23};
}

// (exp(r) - 1) / r by a Taylor polynomial whose next term is below 2^-26.
inline Vec expm1_quotient(Vec r) {
  Vec p = broadcast(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  return p * r + 1.0f;
}

// In this order a NaN, whose comparisons are false, stays.
inline Vec clamp(Vec x, float least, float most) {
  return minimum(broadcast(most), maximum(broadcast(least), x));
}

inline Vec exp_within(Vec x) {
  const Reduced reduced = reduce(x);
  const Vec p = expm1_quotient(reduced.r) * reduced.r + 1.0f;
  return std::bit_cast<Vec>(std::bit_cast<IntVec>(p) + reduced.exponent);
}

}  // namespace detail

// Relative error below 2 ulp; below -87.3 the result is 0, not denormal; above 88 it stays there.
inline Vec exp(Vec x) {
  return select(x < -87.3f, Vec{}, detail::exp_within(detail::clamp(x, -87.3f, 88.0f)));
}

inline Vec sigmoid(Vec x) {
  return 1.0f / (1.0f + detail::exp_within(detail::clamp(-x, -87.3f, 88.0f)));
}

// tanh(x) = e / (e + 2), e = exp(2x) - 1 = 2^n (exp(r) - 1) + (2^n - 1): nothing cancels near 0.
inline Vec tanh(Vec x) {
  const detail::Reduced reduced = detail::reduce(detail::clamp(2.0f * x, -20.0f, 20.0f));
  const Vec power = std::bit_cast<Vec>(reduced.exponent + (127 << 23));
  const Vec e = power * (detail::expm1_quotient(reduced.r) * reduced.r) + (power - 1.0f);
  return e / (e + 2.0f);
}

}  // namespace etude::kernels::cpu
