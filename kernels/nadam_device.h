#pragma once

// Nadam's arithmetic on the device, shared by its kernels: whoever updates an element, and when,
// gets the same bits. Every rounding is spelled out, as the CPU's compiler contracts nadam_cpu.cpp.

#include "kernels/nadam.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

__device__ inline void nadam_moments(const NadamStep& s, float g, float& m, float& v) {
  m = __fmaf_rn(s.beta1, m, __fmul_rn(s.one_minus_beta1, g));
  v = __fmaf_rn(s.beta2, v, __fmul_rn(__fmul_rn(s.one_minus_beta2, g), g));
}

// m and v are the moments after the step.
__device__ inline void nadam_move(const NadamStep& s, float g, float m, float v, float& w) {
  const float direction = __fmaf_rn(s.gradient_factor, g, __fmul_rn(s.momentum_factor, m));
  const float root = __fsqrt_rn(__fmul_rn(v, s.v_factor));
  w = __fadd_rn(w, -__fdiv_rn(direction, __fadd_rn(root, s.epsilon)));
}

__device__ inline void nadam_element(const NadamStep& s, float g, float& w, float& m, float& v) {
  nadam_moments(s, g, m, v);
  nadam_move(s, g, m, v, w);
}

__device__ inline void nadam_quad(const NadamStep& s, float4 g, float4& w, float4& m, float4& v) {
  nadam_element(s, g.x, w.x, m.x, v.x);
  nadam_element(s, g.y, w.y, m.y, v.y);
  nadam_element(s, g.z, w.z, m.z, v.z);
  nadam_element(s, g.w, w.w, m.w, v.w);
}

}  // namespace etude::kernels::ETUDE_DEVICE
