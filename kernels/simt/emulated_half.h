#pragma once

// The emulated half of simt.h: CUDA's words for the C++ compiler. Each function here has the
// meaning that cuda_half.h, or CUDA itself, gives to its name.

#include <cstdint>
#include <tuple>

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

#include "kernels/simt/emulated_atomics.h"
#include "kernels/simt/emulated_mma.h"
#include "kernels/simt/emulated_warp.h"
#include "kernels/simt/emulated_words.h"

namespace etude::kernels::ETUDE_DEVICE {

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
