#pragma once

// Picks a function's version for a stream's device: DISPATCH(stream, leaky_relu_forward, n, ...)
// calls cpu::leaky_relu_forward(n, ...), or simt:: or cuda::leaky_relu_forward(stream, n, ...).

#include "kernels/device.h"

#if ETUDE_CUDA
#define ETUDE_DISPATCH_CUDA(stream, function, ...) \
  return ::etude::kernels::cuda::function(stream __VA_OPT__(, ) __VA_ARGS__)
#else
#define ETUDE_DISPATCH_CUDA(stream, function, ...) \
  throw ::etude::kernels::DeviceError("this program was built without CUDA")
#endif

#define DISPATCH(stream, function, ...)                                             \
  [&] {                                                                             \
    switch ((stream).device) {                                                      \
      case ::etude::kernels::Device::cuda:                                          \
        ETUDE_DISPATCH_CUDA(stream, function, __VA_ARGS__);                         \
      case ::etude::kernels::Device::simt:                                          \
        return ::etude::kernels::simt::function(stream __VA_OPT__(, ) __VA_ARGS__); \
      default:                                                                      \
        return ::etude::kernels::cpu::function(__VA_ARGS__);                        \
    }                                                                               \
  }()
