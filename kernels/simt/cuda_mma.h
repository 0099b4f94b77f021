#pragma once

// Part of cuda_half.h: operands of the tensor cores, and their products.

#include <cstdint>

namespace etude::kernels::cuda {

// Rounded to nearest, ties away: a float whose low 13 bits are 0 (in effect).
__device__ inline uint32_t to_tf32(float x) {
  uint32_t y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
}

// Two bfloat16, rounded to nearest even; `low` in the low half.
__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t y;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}
__device__ inline float unpack_bf16_low(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float unpack_bf16_high(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

// One bfloat16 in memory.
struct Bf16 {
  uint16_t bits;
};
__device__ inline Bf16 to_bf16(float x) {
  return {static_cast<uint16_t>(pack_bf16(x, 0.0f) & 0xffffu)};
}
__device__ inline float to_float(Bf16 x) {
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}

// c += a b, for a warp; a 16 x 8 row-major, b 8 x 8 column-major, c 16 x 8. With group = lane / 4
// and member = lane % 4:
//   a[0] = (group, member)  a[1] = (group + 8, member)  a[2] = (group, member + 4)
//   a[3] = (group + 8, member + 4);  b[0] = (member, group)  b[1] = (member + 4, group)
//   c[0], c[1] = (group, 2 member + 0, 1);  c[2], c[3] = (group + 8, 2 member + 0, 1)
__device__ inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c += a b; a 16 x 16, b 16 x 8, each register two neighbours along k, the lower in the low half:
//   a[0] = (group, 2 member)  a[1] = (group + 8, 2 member)  a[2] = (group, 2 member + 8)
//   a[3] = (group + 8, 2 member + 8);  b[0] = (2 member, group)  b[1] = (2 member + 8, group)
//   c as in mma_tf32
__device__ inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace etude::kernels::cuda
