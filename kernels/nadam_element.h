#pragma once

// Nadam's arithmetic on the CPU, shared by its kernels: whoever updates an element, and when, gets
// the same bits. Loops over it vectorise.

#include <cmath>

#include "kernels/nadam.h"

namespace etude::kernels::cpu {

inline void nadam_moments(const NadamStep& s, float g, float& m, float& v) {
  m = s.beta1 * m + s.one_minus_beta1 * g;
  v = s.beta2 * v + s.one_minus_beta2 * g * g;
}

// m and v are the moments after the step.
inline void nadam_move(const NadamStep& s, float g, float m, float v, float& w) {
  const float direction = s.gradient_factor * g + s.momentum_factor * m;
  w -= direction / (std::sqrt(v * s.v_factor) + s.epsilon);
}

inline void nadam_element(const NadamStep& s, float g, float& w, float& m, float& v) {
  nadam_moments(s, g, m, v);
  nadam_move(s, g, m, v, w);
}

}  // namespace etude::kernels::cpu
