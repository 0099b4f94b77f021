#pragma once

// The GPU's half of simt.h. PTX instructions behind functions that the emulated half has too.

#include <cstdint>

#include "kernels/device.h"
#include "kernels/simt/cuda_mma.h"

#define ETUDE_DEVICE cuda

// Clusters and their shared memory exist from sm_90 on.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define SIMT_HAS_CLUSTERS 1
#else
#define SIMT_HAS_CLUSTERS 0
#endif

#define SIMT_SHARED(type, name, dimensions) __shared__ type name dimensions

namespace etude::kernels::cuda {

// Checks the launch, and says the kernel's name where it fails.
void launch_kernel(const Stream& stream, const Launch& shape, const void* kernel, void** arguments);

template <typename... Parameters, typename... Arguments>
void launch(const Stream& stream, const Launch& shape, void (*kernel)(Parameters...),
            Arguments... arguments) {
  const auto run = [&](Parameters... values) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&values))..., nullptr};
    launch_kernel(stream, shape, reinterpret_cast<const void*>(kernel), pointers);
  };
  run(arguments...);
}

// Clusters of such a launch that the device holds at once: 0 where it cannot run.
int resident_clusters(const Stream& stream, const Launch& shape, const void* kernel);
int multiprocessors();
int64_t shared_bytes_a_block();  // the most dynamic shared memory that a block can have
bool has_clusters();             // of the device and of the code that it runs: sm_90 and newer

// 16-byte pieces of the block's dynamic shared memory.
class DynamicShared {
 public:
  template <typename T>
  __host__ __device__ static constexpr int64_t bytes(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + 15) / 16 * 16;
  }
  template <typename T>
  __device__ T* take(int64_t count) {
    extern __shared__ __align__(128) unsigned char dynamic_shared[];
    T* piece = reinterpret_cast<T*>(dynamic_shared + offset_);
    offset_ += static_cast<unsigned>(bytes<T>(count));
    return piece;
  }

 private:
  unsigned offset_ = 0;
};

__device__ inline unsigned shared_address(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

// Copies 16 (or 4) bytes from global to shared memory behind the thread's back; of them the first
// `bytes`, the rest zero: with 0 nothing is read. They are there, for this thread, after
// cp_async_wait<n>, which lets the newest n groups go on; for others, after a barrier behind that.
// Both addresses aligned.
__device__ inline void cp_async_16(void* shared, const void* global, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(global), "r"(bytes)
               : "memory");
}
__device__ inline void cp_async_4(void* shared, const void* global, int bytes = 4) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)),
               "l"(global), "r"(bytes)
               : "memory");
}
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Newest>
__device__ inline void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
}

// Relative error about 2^-11: for bf16 kernels.
__device__ inline float tanh_approx(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float sigmoid_approx(float x) { return 0.5f * tanh_approx(0.5f * x) + 0.5f; }
// 2^x and 1 / x to 2^-22 of themselves, denormals as zeros: one instruction each.
__device__ inline float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// Within a few units in the last place: for fp32 kernels.
__device__ inline float sigmoid_exact(float x) { return 1.0f / (1.0f + expf(-x)); }

// Flags between blocks: what was written before a release is seen after the acquire that reads it.
__device__ inline unsigned load_acquire(const unsigned* flag) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return value;
}
__device__ inline unsigned add_release(unsigned* flag, unsigned value) {
  unsigned before;
  asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(flag), "r"(value)
               : "memory");
  return before;
}

// Blocks of a cluster: every thread of each arrives, then waits; writes before are seen after.
__device__ inline void cluster_barrier() {
#if SIMT_HAS_CLUSTERS
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
#endif
}
__device__ inline unsigned cluster_rank() {
#if SIMT_HAS_CLUSTERS
  return __clusterRelativeBlockRank();
#else
  return 0;
#endif
}
// The same piece of shared memory in another block of the cluster.
template <typename T>
__device__ inline T* cluster_map(T* shared, unsigned rank) {
#if SIMT_HAS_CLUSTERS
  return static_cast<T*>(__cluster_map_shared_rank(shared, rank));
#else
  return shared;
#endif
}

}  // namespace etude::kernels::cuda

#include "kernels/simt/both_halves.h"
