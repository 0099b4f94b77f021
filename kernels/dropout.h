#pragma once

// Inverted dropout (Srivastava et al. 2014): y = x / (1 - rate) where kept, 0 where dropped.
// Element i is dropped when the 32-bit Philox number of (key, i) is below rate * 2^32, so the mask
// is never stored: backward makes it again.
// Cost: one Philox block (about 60 integer operations) for 4 elements, 8 n bytes (backward 8 n).

#include "kernels/philox.h"
#include "kernels/types.h"

namespace etude::kernels::cpu {

// 0 <= rate < 1. x and y may be the same array.
void dropout_forward(int64_t n, float rate, const RandomKey& key, const float* x, float* y);

void dropout_backward(int64_t n, float rate, const RandomKey& key, const float* dy, float* dx,
                      Write write);

}  // namespace etude::kernels::cpu

namespace etude::kernels {

// A RandomKey whose step lies in the device's memory.
struct DeviceRandomKey {
  uint64_t seed;
  uint32_t stream;
  const uint32_t* step;
};

// Dropout that another operation takes in, of its own output. Rate 0: none.
struct DropoutMask {
  float rate = 0;
  DeviceRandomKey key = {};
};

}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
void dropout_forward(const Stream& stream, int64_t n, float rate, const DeviceRandomKey& key,
                     const float* x, float* y);
void dropout_backward(const Stream& stream, int64_t n, float rate, const DeviceRandomKey& key,
                      const float* dy, float* dx, Write write);
)
// clang-format on
