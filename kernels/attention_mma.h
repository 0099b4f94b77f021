#pragma once

// The products of attention_products.h on tensor cores.

#include "kernels/attention_products.h"

namespace etude::kernels::ETUDE_DEVICE {

// Words are rounded when they are stored.
struct Tf32Product {
  using Word = uint32_t;
  static constexpr int kPerWord = 1, kPad = 8, kDepth = 8, kAhead = 4;
  struct A {
    uint32_t v[4];
  };
  struct B {
    uint32_t v[2];
  };
  template <Order order>
  static __device__ uint32_t at(const Operand<Tf32Product>& o, int r, int k) {
    return o.words[order == Order::by_row ? r * o.stride + k : k * o.stride + r];
  }
  // The two of 8 along the depth that are a lane's. The order of a sum's terms is free, if both
  // operands have the same: where both lie by depth, rows m and m + 4 of the operand would be on
  // banks 4 m + group, two to a bank, but rows 2 m and 2 m + 1 are on 32 different ones.
  template <Order a, Order b>
  static __device__ int first(int k) {
    constexpr bool by_depth = a == Order::by_depth && b == Order::by_depth;
    return k + (by_depth ? 2 : 1) * lane_member();
  }
  template <Order a, Order b>
  static __device__ int second(int k) {
    constexpr bool by_depth = a == Order::by_depth && b == Order::by_depth;
    return first<a, b>(k) + (by_depth ? 1 : 4);
  }
  template <Order order, Order other>
  static __device__ A load_a(const Operand<Tf32Product>& o, int row, int k) {
    const int r = row + lane_group(), d = first<order, other>(k), e = second<order, other>(k);
    return {
        {at<order>(o, r, d), at<order>(o, r + 8, d), at<order>(o, r, e), at<order>(o, r + 8, e)}};
  }
  template <Order order, Order other>
  static __device__ B load_b(const Operand<Tf32Product>& o, int column, int k) {
    const int r = column + lane_group();
    return {{at<order>(o, r, first<order, other>(k)), at<order>(o, r, second<order, other>(k))}};
  }
  static __device__ void multiply(float (&c)[4], const A& a, const B& b) { mma_tf32(c, a.v, b.v); }
  static __device__ float rounded(float x) { return __uint_as_float(to_tf32(x) & ~0x1fffu); }
  static __device__ void store4(Word* to, const float4& v) {
    *reinterpret_cast<uint4*>(to) =
        make_uint4(to_tf32(v.x), to_tf32(v.y), to_tf32(v.z), to_tf32(v.w));
  }
  static __device__ void store2(Word* to, float x, float y) {
    *reinterpret_cast<uint2*>(to) = make_uint2(to_tf32(x), to_tf32(y));
  }
};

struct Bf16Product {
  using Word = uint32_t;
  static constexpr int kPerWord = 2, kPad = 16, kDepth = 16, kAhead = 4;
  struct A {
    uint32_t v[4];
  };
  struct B {
    uint32_t v[2];
  };
  // The elements (r, k) and (r, k + 1), k even. By depth they lie in two rows, each in a half of a
  // word that the neighbouring lane reads too.
  template <Order order>
  static __device__ uint32_t pair(const Operand<Bf16Product>& o, int r, int k) {
    if constexpr (order == Order::by_row) return o.words[r * o.stride + k / 2];
    const uint32_t low = o.words[k * o.stride + r / 2], high = o.words[(k + 1) * o.stride + r / 2];
    return r % 2 == 0 ? (low & 0xffffu) | high << 16 : low >> 16 | (high & 0xffff0000u);
  }
  template <Order order, Order>
  static __device__ A load_a(const Operand<Bf16Product>& o, int row, int k) {
    const int r = row + lane_group(), d = k + 2 * lane_member();
    return {{pair<order>(o, r, d), pair<order>(o, r + 8, d), pair<order>(o, r, d + 8),
             pair<order>(o, r + 8, d + 8)}};
  }
  template <Order order, Order>
  static __device__ B load_b(const Operand<Bf16Product>& o, int column, int k) {
    const int r = column + lane_group(), d = k + 2 * lane_member();
    return {{pair<order>(o, r, d), pair<order>(o, r, d + 8)}};
  }
  static __device__ void multiply(float (&c)[4], const A& a, const B& b) { mma_bf16(c, a.v, b.v); }
  static __device__ float rounded(float x) { return unpack_bf16_low(pack_bf16(x, 0.0f)); }
  static __device__ void store4(Word* to, const float4& v) {
    *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(v.x, v.y), pack_bf16(v.z, v.w));
  }
  static __device__ void store2(Word* to, float x, float y) { *to = pack_bf16(x, y); }
};

}  // namespace etude::kernels::ETUDE_DEVICE
