#pragma once

// Rounding to bfloat16, nearest even, where the processor's instructions for it are built in.

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/precision.h"
#include "kernels/simd.h"

namespace etude::kernels::cpu {

using Bf16 = uint16_t;

#if defined(__AVX512BF16__)

inline constexpr bool kBuiltWithBf16 = true;
using Bf16Pairs = __m512bh;  // 32 numbers: of lane i, 2 i and 2 i + 1

inline Bf16Pairs bf16_pairs(Vec low, Vec high) {  // numbers 0 to 15, and 16 to 31
  return _mm512_cvtne2ps_pbh(std::bit_cast<__m512>(high), std::bit_cast<__m512>(low));
}
inline void round_to_bf16(int64_t n, const float* from, Bf16* to) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const Bf16Pairs pairs = bf16_pairs(load(from + i), load(from + i + kLanes));
    std::memcpy(to + i, &pairs, sizeof pairs);
  }
  if (i == n) return;
  const Bf16Pairs pairs = bf16_pairs(load(from + i, std::min<int64_t>(kLanes, n - i)),
                                     load(from + i + kLanes, std::max<int64_t>(0, n - i - kLanes)));
  std::memcpy(to + i, &pairs, static_cast<size_t>(n - i) * sizeof(Bf16));
}

#else

inline constexpr bool kBuiltWithBf16 = false;
inline void round_to_bf16(int64_t, const float*, Bf16*) {}  // never called: has_bf16() is false

#endif

}  // namespace etude::kernels::cpu
