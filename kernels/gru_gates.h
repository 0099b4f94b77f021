#pragma once

// The arithmetic of one unit in one step, for the device's kernels; included behind simt.h. Branch
// free, and exact to a few units in the last place of 1: what fp32 kernels need.

#include "kernels/gru_recurrence.h"

namespace etude::kernels::ETUDE_DEVICE {

struct GruGates {
  float z, r, g, candidate;
};

__device__ inline float gru_sigmoid(float x) { return __fdividef(1.0f, 1.0f + expf(-x)); }
__device__ inline float gru_tanh(float x) { return 1.0f - __fdividef(2.0f, 1.0f + expf(2.0f * x)); }

// `input` is x W + b, `state` is h R + c.
__device__ inline GruGates gru_gates(float input_z, float input_r, float input_g, float state_z,
                                     float state_r, float state_g) {
  const float z = gru_sigmoid(input_z + state_z), r = gru_sigmoid(input_r + state_r);
  return {z, r, gru_tanh(input_g + r * state_g), state_g};
}

__device__ inline float gru_state(const GruGates& gates, float previous) {
  return gates.g + gates.z * (previous - gates.g);
}

// What the gradients of a step are multiples of: known before dh, that of the new state, is.
struct GruGateFactors {
  float z;           // of what skips the gates
  float dz, dg, dr;  // dr is a multiple of dg, the others of dh
  float r;           // the candidate's gradient is r dg
};

__device__ inline GruGateFactors gru_gate_factors(const GruGates& gates, float previous) {
  const float other = 1.0f - gates.z;
  return {gates.z, (previous - gates.g) * (gates.z * other), other * (1.0f - gates.g * gates.g),
          gates.candidate * (gates.r * (1.0f - gates.r)), gates.r};
}

// The gradients of the sums that z, r and g are functions of, and of the candidate.
__device__ inline GruGates gru_gate_gradients(const GruGateFactors& factors, float dh) {
  const float dg = dh * factors.dg;
  return {dh * factors.dz, dg * factors.dr, dg, dg * factors.r};
}

// both[direction], as a choice: a parameter indexed by a variable would be copied to local memory.
template <typename T>
__device__ inline T* gru_pick(T* const (&both)[2], int64_t direction) {
  return direction == 0 ? both[0] : both[1];
}

// Where in its window a direction stands at its step-th step.
__host__ __device__ inline int64_t gru_time(int64_t time, int64_t direction, int64_t step) {
  return direction == 0 ? step : time - 1 - step;
}

// The place of a direction's output in y or dy.
__device__ inline int64_t gru_output(const GruRecurrence& r, int64_t direction, int64_t row,
                                     int64_t step) {
  const int64_t output_row = r.last_only ? row : row * r.time + gru_time(r.time, direction, step);
  return (2 * output_row + direction) * r.units;
}

}  // namespace etude::kernels::ETUDE_DEVICE
