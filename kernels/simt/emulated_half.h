#pragma once

// The emulated half of simt.h: CUDA's words for the C++ compiler. Each function here has the
// meaning that cuda_half.h, or CUDA itself, gives to its name.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/simt/scheduler.h"

#ifndef ETUDE_DEVICE
#define ETUDE_DEVICE simt
#endif
#ifndef ETUDE_COUNTED  // ETUDE_DEVICE is counted (count.h)
#define ETUDE_COUNTED 0
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define SIMT_HAS_CLUSTERS 1

#if ETUDE_COUNTED  // reads of the emulator's own memory must not be counted
#define threadIdx (::etude::emulator::thread_index())
#define blockIdx (::etude::emulator::block_index())
#define blockDim (::etude::emulator::block_dim())
#define gridDim (::etude::emulator::grid_dim())
#else
#define threadIdx (::etude::emulator::current->index)
#define blockIdx (::etude::emulator::current->block->index)
#define blockDim (::etude::emulator::current->block->dim)
#define gridDim (::etude::emulator::current->block->grid)
#endif

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
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
template <typename T>
T __ldg(const T* p) {
  return *p;
}
template <typename T>
T __ldcg(const T* p) {
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
template <typename T>
void __stcg(T* p, T value) {
  *p = value;
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// One thread runs at a time, so these are atomic as they stand.
namespace emulated {

template <typename T, typename Change>
T change_memory(T* p, Change change) {
  const T before = *p;
  *p = change(before);
  return before;
}
template <typename T, typename Change>
T change_atomically(T* p, Change change) {
  if constexpr (ETUDE_COUNTED) {
    const etude::emulator::AtomicAccess atomic;
    return change_memory(p, change);
  } else {
    return change_memory(p, change);
  }
}

}  // namespace emulated

template <typename T>
T atomicAdd(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return static_cast<T>(before + value); });
}
template <typename T>
T atomicSub(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return static_cast<T>(before - value); });
}
template <typename T>
T atomicMax(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return std::max(before, value); });
}
template <typename T>
T atomicMin(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return std::min(before, value); });
}
template <typename T>
T atomicAnd(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return before & value; });
}
template <typename T>
T atomicOr(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return before | value; });
}
template <typename T>
T atomicXor(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return before ^ value; });
}
template <typename T>
T atomicExch(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T) { return value; });
}
// Who fails may be waiting for a lock: lets others run.
template <typename T>
T atomicCAS(T* p, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  const T before =
      emulated::change_atomically(p, [=](T found) { return found == compare ? value : found; });
  if (before != compare) etude::emulator::spin();
  return before;
}
// Counts 0, 1 .. limit, 0.
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return emulated::change_atomically(
      p, [=](unsigned before) { return before >= limit ? 0 : before + 1; });
}

template <typename... Parameters, typename... Arguments>
void launch(const Stream& stream, const Launch& shape, void (*kernel)(Parameters...),
            Arguments... arguments) {
  const std::tuple<Parameters...> values(arguments...);
  const auto body = [kernel, values] {
    if constexpr (ETUDE_COUNTED) {
      const auto run = kernel;
      const auto mine = values;  // on the thread's stack, where nothing is counted
      etude::emulator::enter_counted();
      std::apply(run, mine);
    } else {
      std::apply(kernel, values);
    }
  };
  etude::emulator::submit(stream, shape, body, ETUDE_COUNTED);
}

// As an H100 has them: launchers choose by these.
inline int resident_blocks(const void*, int, int64_t) { return 1; }
inline int resident_clusters(const Stream&, const Launch&, const void*) { return 1; }
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

inline void __syncthreads(const etude::emulator::Site& site = SIMT_SITE("__syncthreads")) {
  etude::emulator::sync_threads(site);
}
inline void __syncwarp(unsigned mask = 0xffffffffu,
                       const etude::emulator::Site& site = SIMT_SITE("__syncwarp")) {
  etude::emulator::meet(mask, site, nullptr, [](void* const(&)[32], unsigned) {});
}

namespace emulated {

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
    const bool there = mask >> mine->source & 1;
    mine->result = there ? static_cast<Exchange*>(lanes[mine->source])->value : ~uint64_t{0};
  }
}

// What comes from a lane outside of the mask is undefined: NaN.
template <typename T>
T shuffle(unsigned mask, T value, int source, const etude::emulator::Site& site) {
  static_assert(sizeof(T) <= 8);
  Exchange mine{0, source, 0};
  std::memcpy(&mine.value, &value, sizeof value);
  etude::emulator::meet(mask, site, &mine, exchange);
  std::memcpy(&value, &mine.result, sizeof value);
  return value;
}
// The last lanes of up and down read such values on their way; elsewhere they are a fault.
template <typename T>
T shuffle_within(unsigned mask, T value, int source, const etude::emulator::Site& site) {
  if (!(etude::emulator::present(mask) >> source & 1))
    etude::emulator::fail(site, "its source lane is not in the mask, or the block ends before it");
  return shuffle(mask, value, source, site);
}

// A warp is cut into segments of `width` lanes, a power of two. Who would read over its segment's
// border reads itself; only xor reads earlier segments.
inline int segment(int lane, int width) { return lane & ~(width - 1); }

inline unsigned vote(unsigned mask, bool predicate, const etude::emulator::Site& site) {
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

}  // namespace emulated

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const etude::emulator::Site& site = SIMT_SITE("__shfl_sync")) {
  return emulated::shuffle_within(
      mask, value, emulated::segment(etude::emulator::my_lane(), width) | (source & (width - 1)),
      site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32,
                  const etude::emulator::Site& site = SIMT_SITE("__shfl_xor_sync")) {
  const int source = etude::emulator::my_lane() ^ (distance & 31);
  const bool later = source >= emulated::segment(etude::emulator::my_lane(), width) + width;
  return emulated::shuffle_within(mask, value, later ? etude::emulator::my_lane() : source, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32,
                   const etude::emulator::Site& site = SIMT_SITE("__shfl_down_sync")) {
  const int source = etude::emulator::my_lane() + static_cast<int>(distance & 31);
  const bool out = source >= emulated::segment(etude::emulator::my_lane(), width) + width;
  return emulated::shuffle(mask, value, out ? etude::emulator::my_lane() : source, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32,
                 const etude::emulator::Site& site = SIMT_SITE("__shfl_up_sync")) {
  const int source = etude::emulator::my_lane() - static_cast<int>(distance & 31);
  const bool out = source < emulated::segment(etude::emulator::my_lane(), width);
  return emulated::shuffle(mask, value, out ? etude::emulator::my_lane() : source, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const etude::emulator::Site& site = SIMT_SITE("__ballot_sync")) {
  return emulated::vote(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate,
                      const etude::emulator::Site& site = SIMT_SITE("__any_sync")) {
  return emulated::vote(mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      const etude::emulator::Site& site = SIMT_SITE("__all_sync")) {
  return emulated::vote(mask, predicate == 0, site) == 0;
}

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

inline void cp_async_16(void* shared, const void* global, int bytes = 16,
                        const etude::emulator::Site& site = SIMT_SITE("cp_async_16")) {
  etude::emulator::copy_later({shared, global, bytes, 16 - bytes, site});
}
inline void cp_async_4(void* shared, const void* global, int bytes = 4,
                       const etude::emulator::Site& site = SIMT_SITE("cp_async_4")) {
  etude::emulator::copy_later({shared, global, bytes, 4 - bytes, site});
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

inline void cluster_barrier(const etude::emulator::Site& site = SIMT_SITE("cluster_barrier")) {
  etude::emulator::cluster_sync(site);
}
inline unsigned cluster_rank() { return etude::emulator::my_rank(); }
template <typename T>
T* cluster_map(T* shared, unsigned rank) {
  return static_cast<T*>(etude::emulator::map_shared(shared, rank));
}

}  // namespace etude::kernels::ETUDE_DEVICE

#include "kernels/simt/both_halves.h"
