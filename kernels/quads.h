#pragma once

// Four consecutive floats of an array, by one thread: in one access where the address allows it.

#include <cstdint>
#include <initializer_list>

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

// Whether every array begins where a float4 may.
inline bool wide_access(std::initializer_list<const void*> arrays) {
  for (const void* array : arrays)
    if (reinterpret_cast<uintptr_t>(array) % sizeof(float4) != 0) return false;
  return true;
}

// p[0..3], of which `left` exist; 0 for the others. `wide`: p is a multiple of 16 bytes.
__device__ inline float4 load_quad(const float* p, int64_t left, bool wide) {
  if (wide && left >= 4) return *reinterpret_cast<const float4*>(p);
  return make_float4(p[0], left > 1 ? p[1] : 0.0f, left > 2 ? p[2] : 0.0f, left > 3 ? p[3] : 0.0f);
}

__device__ inline void store_quad(float* p, float4 value, int64_t left, bool wide) {
  if (wide && left >= 4) {
    *reinterpret_cast<float4*>(p) = value;
    return;
  }
  p[0] = value.x;
  if (left > 1) p[1] = value.y;
  if (left > 2) p[2] = value.z;
  if (left > 3) p[3] = value.w;
}

__device__ inline float4 add_quads(float4 a, float4 b) {
  return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z),
                     __fadd_rn(a.w, b.w));
}

}  // namespace etude::kernels::ETUDE_DEVICE
