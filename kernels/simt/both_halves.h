#pragma once

// Written once in terms of either half.

namespace etude::kernels::ETUDE_DEVICE {

__host__ __device__ constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

__device__ inline int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t grid_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// A grid for a loop `for (i = global_thread(); i < n; i += grid_threads())`: enough blocks to fill
// the device, no more than there is work for.
inline Extent elementwise_grid(int64_t n, int threads) {
  constexpr int64_t kBlocks = 8 * 132;
  const int64_t wanted = divide_up(n, threads);
  return {static_cast<int>(wanted < 1 ? 1 : wanted < kBlocks ? wanted : kBlocks)};
}

// Sum and maximum over a warp's lanes, in all of them; a fixed order of additions.
__device__ inline float warp_sum(float x) {
  for (int distance = 16; distance > 0; distance /= 2)
    x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int distance = 16; distance > 0; distance /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}

// Sum over the block's threads (a multiple of 32 of them, in x), in all of them; every thread
// calls. `partial` is shared, one float a warp; free again when the call returns.
__device__ inline float block_sum(float x, float* partial) {
  x = warp_sum(x);
  const unsigned warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (unsigned w = 0; w < warps; ++w) sum += partial[w];
  __syncthreads();
  return sum;
}
__device__ inline float block_max(float x, float* partial) {
  x = warp_max(x);
  const unsigned warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  float largest = partial[0];
  for (unsigned w = 1; w < warps; ++w) largest = fmaxf(largest, partial[w]);
  __syncthreads();
  return largest;
}

// All blocks of a cooperative launch meet. `arrived` is one counter in global memory, 0 before its
// first use and never reset. A barrier's arrivals add up to 2^31: its top bit turns over when the
// last block comes, in any grid and however often the counter has wrapped.
__device__ inline void grid_barrier(unsigned* arrived) {
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    constexpr unsigned kTop = 0x80000000u;
    const bool first = blockIdx.x == 0 && blockIdx.y == 0 && blockIdx.z == 0;
    const unsigned others = gridDim.x * gridDim.y * gridDim.z - 1;
    const unsigned before = add_release(arrived, first ? kTop - others : 1);
    while (((load_acquire(arrived) ^ before) & kTop) == 0) {
    }
  }
  __syncthreads();
}

}  // namespace etude::kernels::ETUDE_DEVICE
