#pragma once

// Keras' Nadam (Dozat 2016), with the momentum schedule u_t = b1 (1 - 0.5 * 0.96^(0.004 t)) and
// P_t = u_1 ... u_t:
//   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
//   w -= lr ((1 - u_t) g / (1 - P_t) + u_{t+1} m / (1 - P_{t+1})) / (sqrt(v / (1 - b2^t)) + eps)
// Cost: about 14 FLOPs, one division and one root a parameter, 28 bytes (w, g, m, v in; w, m, v
// out): bound by memory.

#include "kernels/embedding.h"
#include "kernels/types.h"

namespace etude::kernels {

struct NadamOptions {
  float learning_rate = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-7f;
};

// Everything in the update that depends on the step but not on the parameter, made in double.
// Aligned so that a GPU's thread reads it in two loads.
struct alignas(16) NadamStep {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float gradient_factor;  // lr (1 - u_t) / (1 - P_t)
  float momentum_factor;  // lr u_{t+1} / (1 - P_{t+1})
  float v_factor;         // 1 / (1 - b2^t)
  float epsilon;
};

// step counts from 1. `schedule_product` is P_{step-1} (1 before the first step) and becomes
// P_step.
NadamStep nadam_step(const NadamOptions& options, int64_t step, double& schedule_product);

struct NadamState {
  float* w;        // parameters, updated
  const float* g;  // gradient
  float* m;        // first moment, updated; zero before step 1
  float* v;        // second moment, updated; zero before step 1
};

namespace cpu {

void nadam_update(int64_t n, const NadamStep& step, const NadamState& state);

// TensorFlow's sparse semantics for a table [rows, columns] of which the minibatch touched the rows
// named in ids [count] (repeats allowed): m and v of all rows decay and take in g, but only the
// touched rows of w move.
void nadam_update_sparse(int64_t rows, int64_t columns, int64_t count, const int32_t* ids,
                         const NadamStep& step, const NadamState& state);

}  // namespace cpu
}  // namespace etude::kernels

// `step` lies in the device's memory: a captured step reads there what changes.
// clang-format off
ETUDE_ON_DEVICE(
void nadam_update(const Stream& stream, int64_t n, const NadamStep* step, const NadamState& state);
// `index` is embedding_index()'s.
void nadam_update_sparse(const Stream& stream, const EmbeddingShape& table, const int32_t* index,
                         const NadamStep* step, const NadamState& state);
)
// clang-format on
