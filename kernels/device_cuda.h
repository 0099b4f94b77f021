#pragma once

// For the files that call CUDA's own libraries (NAME_cuda.cu): every call is checked.

#include <cuda_runtime_api.h>

#include "kernels/device.h"

namespace etude::kernels::cuda {

// What a Stream's handle points to.
struct Queue {
  cudaStream_t stream = nullptr;
  void* cublas = nullptr;     // its handle, made when first needed
  void* workspace = nullptr;  // cuBLAS's: given, so that a product can be captured
};

inline Queue& queue_of(const Stream& stream) { return *static_cast<Queue*>(stream.handle); }

// Before a capture, in which nothing may be allocated; where there is no cuBLAS, nothing.
void prepare_cublas(const Stream& stream);
void close_cublas(Queue& queue) noexcept;
// The library's file and version, or why there is none.
std::string describe_cublas();

// Throws DeviceError, with the call and its place in the source.
void check_cuda(cudaError_t status, const char* call, const char* file, int line);

}  // namespace etude::kernels::cuda

#define CUDA_CHECK(call) ::etude::kernels::cuda::check_cuda((call), #call, __FILE__, __LINE__)
