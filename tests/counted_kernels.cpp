// Compiled as kernels are for counting (cmake/counted.cmake).

#include "tests/counted_kernels.h"

#include "kernels/simt/simt.h"

namespace etude::kernels::counted {
namespace {

__global__ void transpose_directly_kernel(const float* x, float* y) {
  for (unsigned row = threadIdx.y; row < 32; row += blockDim.y)
    y[threadIdx.x * 32 + row] = x[row * 32 + threadIdx.x];
}

template <int Stride>
__global__ void transpose_by_tile_kernel(const float* x, float* y) {
  SIMT_SHARED(float, tile, [32][Stride]);
  for (unsigned row = threadIdx.y; row < 32; row += blockDim.y)
    tile[row][threadIdx.x] = x[row * 32 + threadIdx.x];
  __syncthreads();
  for (unsigned row = threadIdx.y; row < 32; row += blockDim.y)
    y[row * 32 + threadIdx.x] = tile[threadIdx.x][row];
}

__global__ void add_vectors_kernel(const float* x, float* y, int n) {
  const int i = static_cast<int>(global_thread());
  if (i >= n) return;
  const float4 v = reinterpret_cast<const float4*>(x)[i];
  reinterpret_cast<float4*>(y)[i] = make_float4(v.x + 1, v.y + 1, v.z + 1, v.w + 1);
}

__global__ void half_of_the_lanes_kernel(const float* x, float* y) {
  if (threadIdx.x % 2) y[threadIdx.x] = x[0];
}

__global__ void sum_of_block_kernel(const float* x, float* y) {
  SIMT_SHARED(float, partial, [4]);
  const float sum = block_sum(x[threadIdx.x], partial);
  if (threadIdx.x == 0) y[0] = sum;
}

__global__ void count_by_atomics_kernel(const int* x, int* counts, bool fault) {
  SIMT_SHARED(int, bins, [4]);
  if (threadIdx.x < 4) bins[threadIdx.x] = 0;
  __syncthreads();
  if (fault)
    bins[x[threadIdx.x]] += 1;
  else
    atomicAdd(&bins[x[threadIdx.x]], 1);
  __syncthreads();
  if (threadIdx.x < 4) counts[threadIdx.x] = bins[threadIdx.x];
}

__global__ void read_after_write_kernel(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [64]);
  tile[threadIdx.x] = 0;
  __syncthreads();
  tile[threadIdx.x] = x[threadIdx.x];
  if (!fault) __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x ^ 32];
}

__global__ void write_after_read_kernel(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [64]);
  for (unsigned t = 0; t < 2; ++t) {
    tile[threadIdx.x] = x[threadIdx.x] + static_cast<float>(t);
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
    if (!fault) __syncthreads();
  }
}

__global__ void within_a_warp_kernel(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [64]);
  const unsigned i = threadIdx.x;
  tile[i] = x[i];
  if (!fault) __syncwarp();
  const float other = i % 32 < 16 ? tile[i ^ 1] : 0;
  y[i] = other + __shfl_xor_sync(0xffffffffu, other, 16);
}

__global__ void two_writers_kernel(float* y, bool fault) {
  SIMT_SHARED(float, one, [1]);
  if (threadIdx.x == 3) one[0] = 1;
  if (!fault) __syncthreads();
  if (threadIdx.x == 40) one[0] = 2;
  __syncthreads();
  y[threadIdx.x] = one[0];
}

__global__ void copied_kernel(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [128]);
  cp_async_16(&tile[4 * threadIdx.x], x + 4 * threadIdx.x);
  cp_async_commit();
  if (!fault) cp_async_wait<0>();
  y[threadIdx.x] = tile[4 * threadIdx.x];
}

__global__ void copied_too_early_kernel(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [256]);
  for (unsigned k = 0; k < 4; ++k) tile[k * 64 + threadIdx.x] = x[k * 64 + threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[255 - 4 * threadIdx.x];
  if (!fault) __syncthreads();
  cp_async_16(&tile[4 * threadIdx.x], x + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
}

__global__ void over_a_cluster_kernel(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [32]);
  cluster_barrier();
  cluster_map(tile, 1 - cluster_rank())[threadIdx.x] = x[threadIdx.x];
  if (fault)
    __syncthreads();
  else
    cluster_barrier();
  y[blockIdx.x * 32 + threadIdx.x] = tile[31 - threadIdx.x];
  cluster_barrier();
}

__global__ void unwritten_kernel(float* y, bool fault) {
  SIMT_SHARED(float, tile, [2][8]);
  if (!fault || threadIdx.x != 5) tile[1][threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[1][7 - threadIdx.x];
}

__global__ void past_shared_kernel(float* y, bool fault) {
  SIMT_SHARED(float, tile, [8]);
  SIMT_SHARED(float, other, [8]);
  float* begin = tile;
  begin[threadIdx.x + (fault ? 3 : 0)] = 1;
  other[threadIdx.x] = 1;
  y[threadIdx.x] = other[threadIdx.x];
}

__global__ void past_global_kernel(float* y, int n) {
  const auto i = static_cast<int>(threadIdx.x);
  if (i < n) y[i] = 1;
}

__global__ void misaligned_kernel(const float* x, float* y) {
  reinterpret_cast<float4*>(y)[threadIdx.x] = *reinterpret_cast<const float4*>(x + 4 * threadIdx.x);
}

}  // namespace

void transpose_directly(const Stream& stream, const float* x, float* y) {
  launch(stream, {"transpose_directly", {1}, {32, 4}}, transpose_directly_kernel, x, y);
}
void transpose_by_tile(const Stream& stream, const float* x, float* y, bool padded) {
  launch(stream, {"transpose_by_tile", {1}, {32, 4}},
         padded ? transpose_by_tile_kernel<33> : transpose_by_tile_kernel<32>, x, y);
}
void add_vectors(const Stream& stream, const float* x, float* y, int n) {
  launch(stream, {"add_vectors", {2}, {64}}, add_vectors_kernel, x, y, n);
}
void half_of_the_lanes(const Stream& stream, const float* x, float* y) {
  launch(stream, {"half_of_the_lanes", {1}, {64}}, half_of_the_lanes_kernel, x, y);
}
void sum_of_block(const Stream& stream, const float* x, float* y) {
  launch(stream, {"sum_of_block", {1}, {128}}, sum_of_block_kernel, x, y);
}
void count_by_atomics(const Stream& stream, const int* x, int* counts, bool fault) {
  launch(stream, {"count_by_atomics", {1}, {64}}, count_by_atomics_kernel, x, counts, fault);
}
void read_after_write(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"read_after_write", {1}, {64}}, read_after_write_kernel, x, y, fault);
}
void write_after_read(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"write_after_read", {1}, {64}}, write_after_read_kernel, x, y, fault);
}
void within_a_warp(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"within_a_warp", {1}, {64}}, within_a_warp_kernel, x, y, fault);
}
void two_writers(const Stream& stream, float* y, bool fault) {
  launch(stream, {"two_writers", {1}, {64}}, two_writers_kernel, y, fault);
}
void copied(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"copied", {1}, {32}}, copied_kernel, x, y, fault);
}
void copied_too_early(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"copied_too_early", {1}, {64}}, copied_too_early_kernel, x, y, fault);
}
void over_a_cluster(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"over_a_cluster", {2}, {32}, 0, 2}, over_a_cluster_kernel, x, y, fault);
}
void unwritten(const Stream& stream, float* y, bool fault) {
  launch(stream, {"unwritten", {3}, {8}}, unwritten_kernel, y, fault);
}
void past_shared(const Stream& stream, float* y, bool fault) {
  launch(stream, {"past_shared", {1}, {8}}, past_shared_kernel, y, fault);
}
void past_global(const Stream& stream, float* y, int n, bool fault) {
  launch(stream, {"past_global", {1}, {256}}, past_global_kernel, y, fault ? n + 1 : n);
}
void misaligned(const Stream& stream, const float* x, float* y, bool fault) {
  launch(stream, {"misaligned", {1}, {8}}, misaligned_kernel, x + (fault ? 1 : 0), y);
}

}  // namespace etude::kernels::counted
