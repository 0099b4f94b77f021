#pragma once

// What the GRU's recurrences on tensor cores compute beside their products (gru_mma.cu,
// gru_cluster.cu): the gates and their gradients, for a thread's pairs of neighbouring units.
// Included behind simt.h.

#include "kernels/gru_tile.h"

namespace etude::kernels::ETUDE_DEVICE {

// exp(-x). Of no argument below -20 in effect: a logistic function is 2e-9 there. NaN stays NaN.
__device__ inline float exp_of_minus(float x) {
  constexpr float kLog2E = 1.44269504f;
  return exp2_approx(-kLog2E * (x < -20.0f ? -20.0f : x));
}

// Four values of the logistic function for the price of one division: special functions, of which
// an SM has 16 a clock, are what the gates wait for. The product of four denominators stays below
// 2^117.
__device__ inline void four_logistics(float (&x)[4]) {
  float d[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) d[i] = 1.0f + exp_of_minus(x[i]);
  const float low = d[0] * d[1], high = d[2] * d[3], inverse = reciprocal_approx(low * high);
  const float of_low = inverse * high, of_high = inverse * low;
  x[0] = of_low * d[1];
  x[1] = of_low * d[0];
  x[2] = of_high * d[3];
  x[3] = of_high * d[2];
}

// z and r of a pair of units, in place of their sums.
template <Precision precision>
__device__ inline void logistic_pairs(float (&z)[2], float (&r)[2]) {
  if constexpr (precision == Precision::bf16) {
    z[0] = sigmoid_approx(z[0]);
    z[1] = sigmoid_approx(z[1]);
    r[0] = sigmoid_approx(r[0]);
    r[1] = sigmoid_approx(r[1]);
  } else {
    float x[4] = {z[0], z[1], r[0], r[1]};
    four_logistics(x);
    z[0] = x[0];
    z[1] = x[1];
    r[0] = x[2];
    r[1] = x[3];
  }
}

// tanh of a pair, in its place: 2 s(2x) - 1.
template <Precision precision>
__device__ inline void tanh_pair(float (&x)[2]) {
  if constexpr (precision == Precision::bf16) {
    x[0] = tanh_approx(x[0]);
    x[1] = tanh_approx(x[1]);
  } else {
    const float a = 1.0f + exp_of_minus(2.0f * x[0]), b = 1.0f + exp_of_minus(2.0f * x[1]);
    const float twice = 2.0f * reciprocal_approx(a * b);
    x[0] = twice * b - 1.0f;
    x[1] = twice * a - 1.0f;
  }
}

struct Gates {
  float z[2], r[2], g[2], candidate[2], previous[2];
};

// From the sums over h, with their biases, and the projections: all that is saved, and the new h.
template <Precision precision>
__device__ inline Gates gates_of(const float (&sums)[3][2], const float2 (&projected)[3],
                                 float (&h)[2]) {
  Gates s = {{sums[0][0] + projected[0].x, sums[0][1] + projected[0].y},
             {sums[1][0] + projected[1].x, sums[1][1] + projected[1].y},
             {},
             {sums[2][0], sums[2][1]},
             {h[0], h[1]}};
  logistic_pairs<precision>(s.z, s.r);
  s.g[0] = projected[2].x + s.r[0] * s.candidate[0];
  s.g[1] = projected[2].y + s.r[1] * s.candidate[1];
  tanh_pair<precision>(s.g);
#pragma unroll
  for (int i = 0; i < 2; ++i) h[i] = s.g[i] + s.z[i] * (h[i] - s.g[i]);
  return s;
}

template <bool Whole>
__device__ inline void save(float* row, int unit, int units, const Gates& s) {
  store_pair<Whole>(row, unit, units, s.z);
  store_pair<Whole>(row + units, unit, units, s.r);
  store_pair<Whole>(row + 2 * units, unit, units, s.g);
  store_pair<Whole>(row + 3 * units, unit, units, s.candidate);
  store_pair<Whole>(row + 4 * units, unit, units, s.previous);
}

// Of the sums of z, r and g, and of the candidate.
struct Gradients {
  float z[2], r[2], g[2], candidate[2];
};

// From z, r, g, candidate, previous and dy, and the gradient of h behind the step; leaves in dh the
// part of the gradient of h before it that does not go through the weights.
__device__ inline Gradients gradients_of(const float2 (&in)[6], float (&dh)[2]) {
  Gradients d;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const auto part = [&](int n) { return i ? in[n].y : in[n].x; };
    const float z = part(0), r = part(1), g = part(2), all = dh[i] + part(5);
    d.z[i] = all * (part(4) - g) * z * (1 - z);
    d.g[i] = all * (1 - z) * (1 - g * g);
    d.r[i] = d.g[i] * part(3) * r * (1 - r);
    d.candidate[i] = d.g[i] * r;
    dh[i] = all * z;
  }
  return d;
}

template <bool Whole>
__device__ inline void save(float* row, int unit, int units, const Gradients& d) {
  store_pair<Whole>(row, unit, units, d.z);
  store_pair<Whole>(row + units, unit, units, d.r);
  store_pair<Whole>(row + 2 * units, unit, units, d.g);
  store_pair<Whole>(row + 3 * units, unit, units, d.candidate);
}

}  // namespace etude::kernels::ETUDE_DEVICE
