#pragma once

// Where work runs, and how exact its matrix products are.

#include <cstdint>

namespace etude::kernels {

// simt: the CUDA kernels, run on the CPU thread by thread (kernels/simt/simt.h).
enum class Device { cpu, cuda, simt };

// Of the operands of matrix products, whose sums are always fp32: as they are; rounded to 10 bits
// of mantissa (TF32); rounded to bfloat16. The CPU has no tf32, and bf16 where
// its processor has (kernels/precision.h).
enum class Precision { fp32, tf32, bf16 };

// A queue of work on a device: what is put into one runs in order. A handle, copied at will;
// kernels/device.h opens and closes them.
struct Stream {
  Device device = Device::cpu;
  Precision precision = Precision::fp32;
  void* handle = nullptr;  // the device's own
};

}  // namespace etude::kernels

// The device functions of an operation are declared once for both homes of the CUDA kernels: the
// GPU, and the CPU by simt. `counted` is a second simt build that watches every memory access
// (kernels/simt/count.h).
#define ETUDE_ON_DEVICE(...)          \
  namespace etude::kernels::cuda {    \
  __VA_ARGS__                         \
  }                                   \
  namespace etude::kernels::simt {    \
  __VA_ARGS__                         \
  }                                   \
  namespace etude::kernels::counted { \
  __VA_ARGS__                         \
  }
