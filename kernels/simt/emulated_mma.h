#pragma once

// Part of emulated_half.h: operands of the tensor cores, and their products. cuda_mma.h says which
// element a lane holds where.

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/simt/scheduler.h"

namespace etude::kernels::ETUDE_DEVICE {

inline uint32_t to_tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::isfinite(x) ? (bits + 0x1000u) & ~0x1fffu : bits;
}

namespace emulated {

inline uint32_t bf16_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return 0x7fff;
  return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}
// What a lane brings to a tensor core.
struct Fragments {
  float* c;
  const uint32_t *a, *b;
};
inline const Fragments& fragments(void* const (&lanes)[32], int lane) {
  return *static_cast<const Fragments*>(lanes[lane]);
}

// c [16, 8] += a [16, K] b [K, 8], unpacked from all lanes and packed again.
template <int K, typename A, typename B>
void multiply_fragments(void* const (&lanes)[32], A element_a, B element_b) {
  float a[16][K], b[K][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, member = lane % 4;
    element_a(a, fragments(lanes, lane).a, group, member);
    element_b(b, fragments(lanes, lane).b, group, member);
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      float sum = 0;
      for (int k = 0; k < K; ++k) sum += a[row][k] * b[k][column];
      fragments(lanes, lane).c[i] += sum;
    }
}

inline void need_whole_warp(const etude::emulator::Site& site) {
  if (etude::emulator::present(0xffffffffu) != 0xffffffffu)
    etude::emulator::fail(site, "needs a whole warp");
}

// The tensor core reads the upper 19 bits of an operand and no others.
inline float tf32_operand(uint32_t bits) { return std::bit_cast<float>(bits & ~0x1fffu); }

}  // namespace emulated

inline uint32_t pack_bf16(float low, float high) {
  return emulated::bf16_bits(low) | emulated::bf16_bits(high) << 16;
}
inline float unpack_bf16_low(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
inline float unpack_bf16_high(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }

struct Bf16 {
  uint16_t bits;
};
inline Bf16 to_bf16(float x) { return {static_cast<uint16_t>(emulated::bf16_bits(x))}; }
inline float to_float(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     const etude::emulator::Site& site = SIMT_SITE("mma_tf32")) {
  emulated::Fragments mine{c, a, b};
  emulated::need_whole_warp(site);
  etude::emulator::meet(0xffffffffu, site, &mine, [](void* const(&lanes)[32], unsigned) {
    emulated::multiply_fragments<8>(
        lanes,
        [](float(&to)[16][8], const uint32_t* from, int group, int member) {
          for (int i = 0; i < 4; ++i)
            to[group + i % 2 * 8][member + i / 2 * 4] = emulated::tf32_operand(from[i]);
        },
        [](float(&to)[8][8], const uint32_t* from, int group, int member) {
          for (int i = 0; i < 2; ++i) to[member + 4 * i][group] = emulated::tf32_operand(from[i]);
        });
  });
}

inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     const etude::emulator::Site& site = SIMT_SITE("mma_bf16")) {
  emulated::Fragments mine{c, a, b};
  emulated::need_whole_warp(site);
  etude::emulator::meet(0xffffffffu, site, &mine, [](void* const(&lanes)[32], unsigned) {
    emulated::multiply_fragments<16>(
        lanes,
        [](float(&to)[16][16], const uint32_t* from, int group, int member) {
          for (int i = 0; i < 4; ++i) {
            float* pair = &to[group + i % 2 * 8][2 * member + i / 2 * 8];
            pair[0] = unpack_bf16_low(from[i]);
            pair[1] = unpack_bf16_high(from[i]);
          }
        },
        [](float(&to)[16][8], const uint32_t* from, int group, int member) {
          for (int i = 0; i < 2; ++i) {
            to[2 * member + 8 * i][group] = unpack_bf16_low(from[i]);
            to[2 * member + 8 * i + 1][group] = unpack_bf16_high(from[i]);
          }
        });
  });
}

}  // namespace etude::kernels::ETUDE_DEVICE
