#pragma once

// The mask of dropout.h, for every kernel that makes one.

#include <cmath>

#include "kernels/dropout.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

// As a kernel's argument. Rate 0 drops nothing, and nobody reads the key.
struct MaskArgument {
  uint32_t threshold;
  float scale;
  DeviceRandomKey key;
};
inline MaskArgument mask_argument(const DropoutMask& mask) {
  return {static_cast<uint32_t>(std::floor(static_cast<double>(mask.rate) * 0x1p32)),
          1.0f / (1.0f - mask.rate), mask.key};
}

// In a kernel. An array's elements are counted from 0; those of one Philox block are a quad.
class Mask {
 public:
  using Numbers = r123::Philox4x32::ctr_type;

  __device__ explicit Mask(const MaskArgument& mask)
      : mask_(mask), step_(mask.threshold > 0 ? *mask.key.step : 0) {}

  __device__ bool drops() const { return mask_.threshold > 0; }

  // Philox of philox.h, whose std::array and host function device code cannot use.
  __device__ __forceinline__ Numbers numbers(int64_t quad) const {
    const r123::Philox4x32::ctr_type counter = {
        {static_cast<uint32_t>(quad), static_cast<uint32_t>(quad >> 32), mask_.key.stream, step_}};
    const r123::Philox4x32::key_type seed = {
        {static_cast<uint32_t>(mask_.key.seed), static_cast<uint32_t>(mask_.key.seed >> 32)}};
    return r123::Philox4x32()(counter, seed);
  }

  __device__ __forceinline__ float apply(uint32_t number, float x) const {
    return number < mask_.threshold ? 0.0f : __fmul_rn(x, mask_.scale);
  }
  // Element i.
  __device__ __forceinline__ float one(int64_t i, float x) const {
    const Numbers n = numbers(i / 4);
    const uint32_t low = i % 2 ? n.v[1] : n.v[0], high = i % 2 ? n.v[3] : n.v[2];
    return apply(i % 4 < 2 ? low : high, x);
  }
  // Elements i to i + 3, i a multiple of 4.
  __device__ __forceinline__ float4 quad(int64_t i, float4 x) const {
    const Numbers n = numbers(i / 4);
    return make_float4(apply(n.v[0], x.x), apply(n.v[1], x.y), apply(n.v[2], x.z),
                       apply(n.v[3], x.w));
  }
  // The same from any i, unless `quads` says that it is a multiple of 4.
  __device__ __forceinline__ float4 four(int64_t i, float4 x, bool quads) const {
    if (quads) return quad(i, x);
    return make_float4(one(i, x.x), one(i + 1, x.y), one(i + 2, x.z), one(i + 3, x.w));
  }

 private:
  MaskArgument mask_;
  uint32_t step_;
};

}  // namespace etude::kernels::ETUDE_DEVICE
