#pragma once

// The emulated half of simt.h: CUDA's words for the C++ compiler. Each function here has the
// meaning that cuda_half.h, or CUDA itself, gives to its name.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>

#include "kernels/simt/scheduler.h"

#ifndef ETUDE_DEVICE
#define ETUDE_DEVICE simt
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define SIMT_HAS_CLUSTERS 1

#define threadIdx (::etude::emulator::current->index)
#define blockIdx (::etude::emulator::current->block->index)
#define blockDim (::etude::emulator::current->block->dim)
#define gridDim (::etude::emulator::current->block->grid)
#define SIMT_SITE(what) (::etude::emulator::Site{what, __FILE__, __LINE__})
#define __syncthreads() ::etude::emulator::sync_threads(SIMT_SITE("__syncthreads"))

#define SIMT_SHARED(type, name, dimensions)                     \
  using name##_shared_type = type dimensions;                   \
  static const char name##_shared_key = 0;                      \
  name##_shared_type& name = *static_cast<name##_shared_type*>( \
      ::etude::emulator::static_shared(&name##_shared_key, #name, sizeof(name##_shared_type)))

namespace etude::kernels::ETUDE_DEVICE {

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __saturatef(float x) { return std::min(1.0f, std::max(0.0f, x)); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
template <typename T>
T __ldg(const T* p) {
  return *p;
}
template <typename T>
T __ldcs(const T* p) {
  return *p;
}
template <typename T>
void __stcs(T* p, T value) {
  *p = value;
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// One thread runs at a time, so these are atomic as they stand.
template <typename T>
T atomicAdd(T* p, T value) {
  const T before = *p;
  *p = before + value;
  return before;
}
template <typename T>
T atomicMax(T* p, T value) {
  const T before = *p;
  *p = std::max(before, value);
  return before;
}
template <typename T>
T atomicMin(T* p, T value) {
  const T before = *p;
  *p = std::min(before, value);
  return before;
}
template <typename T>
T atomicExch(T* p, T value) {
  const T before = *p;
  *p = value;
  return before;
}
template <typename T>
T atomicCAS(T* p, T compare, T value) {
  const T before = *p;
  if (before == compare) *p = value;
  return before;
}

template <typename... Parameters, typename... Arguments>
void launch(const Stream& stream, const Launch& shape, void (*kernel)(Parameters...),
            Arguments... arguments) {
  const std::tuple<Parameters...> values(arguments...);
  etude::emulator::submit(stream, shape, [kernel, values] { std::apply(kernel, values); });
}

// As an H100 has them: launchers choose by these.
inline int resident_blocks(const void*, int, int64_t) { return 1; }
inline int multiprocessors() { return 132; }
inline int64_t shared_bytes_a_block() { return 227 * 1024; }
inline bool has_clusters() { return true; }

class DynamicShared {
 public:
  template <typename T>
  static constexpr int64_t bytes(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + 15) / 16 * 16;
  }
  template <typename T>
  T* take(int64_t count) {
    void* piece = etude::emulator::dynamic_shared(offset_, count * static_cast<int64_t>(sizeof(T)));
    offset_ += bytes<T>(count);
    return static_cast<T*>(piece);
  }

 private:
  int64_t offset_ = 0;
};

// What lanes bring to a meeting, and take away.
struct Exchange {
  uint64_t value;
  int source;
  uint64_t result;
};

inline void exchange(void* const (&lanes)[32], unsigned mask) {
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    auto* mine = static_cast<Exchange*>(lanes[lane]);
    const bool there = mine->source >= 0 && mine->source < 32 && lanes[mine->source] != nullptr;
    mine->result = there ? static_cast<Exchange*>(lanes[mine->source])->value : mine->value;
  }
}

template <typename T>
T shuffle(unsigned mask, T value, int source, const etude::emulator::Site& site) {
  static_assert(sizeof(T) <= 8);
  Exchange mine{0, source, 0};
  std::memcpy(&mine.value, &value, sizeof value);
  etude::emulator::meet(mask, site, &mine, exchange);
  std::memcpy(&value, &mine.result, sizeof value);
  return value;
}

inline int my_lane() { return etude::emulator::current->lane; }
// The source lane within a segment of `width` lanes; itself where that would leave the segment.
inline int within(int lane, int source, int width) {
  return source / width == lane / width && source >= 0 ? source : lane;
}

#define __shfl_sync(mask, value, source, ...) \
  shuffle(mask, value, (source)&31, SIMT_SITE("__shfl_sync"))
#define __shfl_xor_sync(mask, value, distance, ...) \
  shuffle(mask, value, my_lane() ^ (distance), SIMT_SITE("__shfl_xor_sync"))
#define __shfl_down_sync(mask, value, distance, ...)                                  \
  shuffle(mask, value, within(my_lane(), my_lane() + static_cast<int>(distance), 32), \
          SIMT_SITE("__shfl_down_sync"))
#define __shfl_up_sync(mask, value, distance, ...)                                    \
  shuffle(mask, value, within(my_lane(), my_lane() - static_cast<int>(distance), 32), \
          SIMT_SITE("__shfl_up_sync"))

inline unsigned ballot(unsigned mask, bool predicate, const etude::emulator::Site& site) {
  Exchange mine{predicate, 0, 0};
  etude::emulator::meet(mask, site, &mine, [](void* const(&lanes)[32], unsigned of) {
    unsigned votes = 0;
    for (int lane = 0; lane < 32; ++lane)
      if (of >> lane & 1) votes |= (static_cast<Exchange*>(lanes[lane])->value ? 1u : 0u) << lane;
    for (int lane = 0; lane < 32; ++lane)
      if (of >> lane & 1) static_cast<Exchange*>(lanes[lane])->result = votes;
  });
  return static_cast<unsigned>(mine.result);
}
#define __ballot_sync(mask, predicate) ballot(mask, predicate, SIMT_SITE("__ballot_sync"))
#define __any_sync(mask, predicate) (ballot(mask, predicate, SIMT_SITE("__any_sync")) != 0)
#define __all_sync(mask, predicate) (ballot(mask, !(predicate), SIMT_SITE("__all_sync")) == 0)

inline void sync_warp(unsigned mask, const etude::emulator::Site& site) {
  char nothing = 0;
  etude::emulator::meet(mask, site, &nothing, [](void* const(&)[32], unsigned) {});
}
#define SIMT_FIRST(first, ...) first
#define __syncwarp(...) \
  sync_warp(SIMT_FIRST(__VA_ARGS__ __VA_OPT__(, ) 0xffffffffu), SIMT_SITE("__syncwarp"))

inline uint32_t to_tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::isfinite(x) ? (bits + 0x1000u) & ~0x1fffu : bits;
}

inline uint32_t bf16_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return 0x7fff;
  return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}
inline uint32_t pack_bf16(float low, float high) { return bf16_bits(low) | bf16_bits(high) << 16; }
inline float unpack_bf16_low(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
inline float unpack_bf16_high(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }

struct Bf16 {
  uint16_t bits;
};
inline Bf16 to_bf16(float x) { return {static_cast<uint16_t>(bf16_bits(x))}; }
inline float to_float(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

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

// The tensor core reads the upper 19 bits of an operand and no others.
inline float tf32_operand(uint32_t bits) { return std::bit_cast<float>(bits & ~0x1fffu); }

inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments mine{c, a, b};
  etude::emulator::meet(0xffffffffu, SIMT_SITE("mma_tf32"), &mine,
                        [](void* const(&lanes)[32], unsigned) {
                          multiply_fragments<8>(
                              lanes,
                              [](float(&to)[16][8], const uint32_t* from, int group, int member) {
                                for (int i = 0; i < 4; ++i)
                                  to[group + i % 2 * 8][member + i / 2 * 4] = tf32_operand(from[i]);
                              },
                              [](float(&to)[8][8], const uint32_t* from, int group, int member) {
                                for (int i = 0; i < 2; ++i)
                                  to[member + 4 * i][group] = tf32_operand(from[i]);
                              });
                        });
}

inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments mine{c, a, b};
  etude::emulator::meet(0xffffffffu, SIMT_SITE("mma_bf16"), &mine,
                        [](void* const(&lanes)[32], unsigned) {
                          multiply_fragments<16>(
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

inline void cp_async_16(void* shared, const void* global, int bytes = 16) {
  etude::emulator::copy_later({shared, global, bytes, 16 - bytes});
}
inline void cp_async_4(void* shared, const void* global) {
  etude::emulator::copy_later({shared, global, 4, 0});
}
inline void cp_async_commit() { etude::emulator::commit_copies(); }
template <int Newest>
void cp_async_wait() {
  etude::emulator::finish_copies(Newest);
}

inline float tanh_approx(float x) { return std::tanh(x); }
inline float sigmoid_approx(float x) { return 0.5f * tanh_approx(0.5f * x) + 0.5f; }
inline float exp2_approx(float x) { return std::exp2(x); }
inline float reciprocal_approx(float x) { return 1.0f / x; }
inline float sigmoid_exact(float x) { return 1.0f / (1.0f + std::exp(-x)); }

inline unsigned load_acquire(const unsigned* flag) {
  etude::emulator::spin();
  return *flag;
}
inline unsigned add_release(unsigned* flag, unsigned value) { return atomicAdd(flag, value); }

#define cluster_barrier() ::etude::emulator::cluster_sync(SIMT_SITE("cluster_barrier"))
inline unsigned cluster_rank() { return etude::emulator::current->block->rank; }
template <typename T>
T* cluster_map(T* shared, unsigned rank) {
  return static_cast<T*>(etude::emulator::map_shared(shared, rank));
}

}  // namespace etude::kernels::ETUDE_DEVICE

#include "kernels/simt/both_halves.h"
