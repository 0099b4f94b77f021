#pragma once

// Vectors as wide as the processor that Etude is compiled for, by the compiler's vector extension:
// arithmetic operators act on all lanes, so that a formula reads as a formula.

#include <bit>
#include <cstdint>
#include <cstring>

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
