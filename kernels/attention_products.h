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
  static constexpr int kPerWord = 1, kPad = 8, kDepth = 4;
  struct A {
    float v[2][kDepth];
  };
  struct B {
    float v[2][kDepth];
  };
  static __device__ void set(float (&to)[kDepth], const float4& from) {
    to[0] = from.x, to[1] = from.y, to[2] = from.z, to[3] = from.w;
  }
  template <Order order>
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
  template <Order order>
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

// Words are rounded when they are stored.
struct Tf32Product {
  using Word = uint32_t;
  static constexpr int kPerWord = 1, kPad = 8, kDepth = 8;
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
  template <Order order>
  static __device__ A load_a(const Operand<Tf32Product>& o, int row, int k) {
    const int r = row + lane_group(), d = k + lane_member();
    return {{at<order>(o, r, d), at<order>(o, r + 8, d), at<order>(o, r, d + 4),
             at<order>(o, r + 8, d + 4)}};
  }
  template <Order order>
  static __device__ B load_b(const Operand<Tf32Product>& o, int column, int k) {
    const int r = column + lane_group(), d = k + lane_member();
    return {{at<order>(o, r, d), at<order>(o, r, d + 4)}};
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
  static constexpr int kPerWord = 2, kPad = 16, kDepth = 16;
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
  template <Order order>
  static __device__ A load_a(const Operand<Bf16Product>& o, int row, int k) {
    const int r = row + lane_group(), d = k + 2 * lane_member();
    return {{pair<order>(o, r, d), pair<order>(o, r + 8, d), pair<order>(o, r, d + 8),
             pair<order>(o, r + 8, d + 8)}};
  }
  template <Order order>
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

// c += a b, of a warp: M tiles of 16 rows from a's `row` on; N of 8 columns, the first at `column`,
// `step` apart, those at `columns` or beyond left out. `depth` is padded with zeros to kDepth.
template <Order order_a, Order order_b, typename Product, int M, int N>
__device__ __forceinline__ void multiply(float (&c)[M][N][4], const Operand<Product>& a, int row,
                                         const Operand<Product>& b, int column, int step,
                                         int columns, int depth) {
  for (int k = 0; k < depth; k += Product::kDepth) {
    typename Product::A left[M];
#pragma unroll
    for (int m = 0; m < M; ++m) left[m] = Product::template load_a<order_a>(a, row + 16 * m, k);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (column + n * step >= columns) continue;
      const auto right = Product::template load_b<order_b>(b, column + n * step, k);
#pragma unroll
      for (int m = 0; m < M; ++m) Product::multiply(c[m][n], left[m], right);
    }
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
