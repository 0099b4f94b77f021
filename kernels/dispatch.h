#pragma once

// Picks a function's version for a stream's device. A program without CUDA never has such a stream:
// open_stream() refuses.
//
// DISPATCH(stream, leaky_relu_forward, n, ...) calls cpu::leaky_relu_forward(n, ...), or simt:: or
// cuda::leaky_relu_forward(stream, n, ...); ON_DEVICE is for functions that the CPU does not have,
// or has in another form. PICK and ON_DEVICE_PICK name the function, for those without a stream.

#include "kernels/device.h"

#if ETUDE_CUDA
#define ON_DEVICE_PICK(stream, function)                                                \
  ((stream).device == ::etude::kernels::Device::cuda ? ::etude::kernels::cuda::function \
                                                     : ::etude::kernels::simt::function)
#else
#define ON_DEVICE_PICK(stream, function) ::etude::kernels::simt::function
#endif

#define ON_DEVICE(stream, function, ...) \
  ON_DEVICE_PICK(stream, function)(stream __VA_OPT__(, ) __VA_ARGS__)

#define PICK(stream, function)                                                        \
  ((stream).device == ::etude::kernels::Device::cpu ? ::etude::kernels::cpu::function \
                                                    : ON_DEVICE_PICK(stream, function))

#define DISPATCH(stream, function, ...)               \
  ((stream).device == ::etude::kernels::Device::cpu   \
       ? ::etude::kernels::cpu::function(__VA_ARGS__) \
       : ON_DEVICE(stream, function __VA_OPT__(, ) __VA_ARGS__))
