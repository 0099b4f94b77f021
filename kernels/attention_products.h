#pragma once

// Matrix products of a block, from shared memory into registers, in three precisions that share one
// layout of the result: that of mma's 16 x 8 tiles. A lane has of each the elements (group, 2
// member
// + 0, 1) and (group + 8, 2 member + 0, 1), group = lane / 4, member = lane % 4.
//
// An operand lies in shared memory as words, a word one element (exact, tf32) or two neighbours of
// a row (bf16). Rows are 4 words longer than a multiple of 8: the 8 groups times 4 members of a
// load along the depth then meet 32 different banks, and each row begins on 16 bytes.

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

// Of an operand's element (r, k), k along the depth: in row r, or in row k.
enum class Order { by_row, by_depth };

// load_a and load_b are told of the other operand's order too, as a lane may choose by it which
// terms of the depth it takes. A Product says how many elements a word has (kPerWord), to what rows
// are padded with zeros (kPad), how deep one product is (kDepth), and how many of them a loop with
// few to a load has ahead.
template <typename Product>
struct Operand {
  typename Product::Word* words;
  int stride;  // words from row to row
};

template <typename Product>
__host__ __device__ constexpr int padded(int columns) {
  return (columns + Product::kPad - 1) / Product::kPad * Product::kPad;
}
template <typename Product>
__host__ __device__ constexpr int row_words(int columns) {
  return padded<Product>(columns) / Product::kPerWord + 4;
}

__device__ inline int lane_group() { return static_cast<int>(threadIdx.x % 32 / 4); }
__device__ inline int lane_member() { return static_cast<int>(threadIdx.x % 4); }

// fp32, no tensor core: 16 x 8 x 4 in plain FMAs, 16 a lane.
struct ExactProduct {
  using Word = float;
  static constexpr int kPerWord = 1, kPad = 8, kDepth = 4, kAhead = 1;
  struct A {
    float v[2][kDepth];
  };
  struct B {
    float v[2][kDepth];
  };
  static __device__ void set(float (&to)[kDepth], const float4& from) {
    to[0] = from.x, to[1] = from.y, to[2] = from.z, to[3] = from.w;
  }
  template <Order order, Order>
  static __device__ A load_a(const Operand<ExactProduct>& o, int row, int k) {
    A a;
    for (int i = 0; i < 2; ++i) {
      const int r = row + lane_group() + 8 * i;
      if constexpr (order == Order::by_row)
        set(a.v[i], *reinterpret_cast<const float4*>(o.words + r * o.stride + k));
      else
        for (int d = 0; d < kDepth; ++d) a.v[i][d] = o.words[(k + d) * o.stride + r];
    }
    return a;
  }
  template <Order order, Order>
  static __device__ B load_b(const Operand<ExactProduct>& o, int column, int k) {
    B b;
    const int r = column + 2 * lane_member();
    if constexpr (order == Order::by_row) {
      for (int i = 0; i < 2; ++i)
        set(b.v[i], *reinterpret_cast<const float4*>(o.words + (r + i) * o.stride + k));
    } else {
      for (int d = 0; d < kDepth; ++d) {
        const auto pair = *reinterpret_cast<const float2*>(o.words + (k + d) * o.stride + r);
        b.v[0][d] = pair.x, b.v[1][d] = pair.y;
      }
    }
    return b;
  }
  static __device__ void multiply(float (&c)[4], const A& a, const B& b) {
    for (int d = 0; d < kDepth; ++d)
      for (int i = 0; i < 4; ++i) c[i] = __fmaf_rn(a.v[i / 2][d], b.v[i % 2][d], c[i]);
  }
  static __device__ float rounded(float x) { return x; }
  static __device__ void store4(Word* to, const float4& v) { *reinterpret_cast<float4*>(to) = v; }
  static __device__ void store2(Word* to, float x, float y) {
    *reinterpret_cast<float2*>(to) = make_float2(x, y);
  }
};

}  // namespace etude::kernels::ETUDE_DEVICE
