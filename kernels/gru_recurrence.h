#pragma once

// The part of a bidirectional GRU that runs step after step, in the device's versions. What can be
// one matrix product over all steps (x W, dx, dW, dR) is done around it, in gru.cu.

#include "kernels/gru.h"

namespace etude::kernels {

struct GruRecurrence {
  int64_t batch, time, units;
  bool last_only;
  const float* projected[2];         // [batch, time, 3 units]: x W + b; of the forward direction,
                                     // then of the one that reads from the end
  const float* recurrent_kernel[2];  // [units, 3 units]
  const float* recurrent_bias[2];    // [3 units]
  // b, where `projected` is x W alone and the recurrence is to add it, which all but `stepwise`
  // can; null where projected has it.
  const float* bias[2];
  // One row of 5 units for each batch row and step. Forward writes z, r, g, the candidate
  // h Rg + cg, and h before the step. Backward reads them and overwrites the first four with the
  // gradients of the sums that z, r and g are functions of, and of the candidate.
  float* saved[2];
  // [batch, time, 2 units], or [batch, 2 units] with last_only.
  float* y;         // forward
  const float* dy;  // backward
  // Backward, if not null and the version can (all but stepwise): [2, parts, 4 units], sums of the
  // gradients of z, r, g and the candidate over a part of the batch and all steps.
  float* bias_parts;
};

}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
// scratch: 2 * batch * 5 units floats.
void gru_stepwise_forward(const Stream& stream, const GruRecurrence& r, float* scratch);
void gru_stepwise_backward(const Stream& stream, const GruRecurrence& r, float* scratch);

// Exact fp32. Whether the weights of so many units fit into a block.
bool gru_persistent_fits(const Stream& stream, int64_t units);
void gru_persistent_forward(const Stream& stream, const GruRecurrence& r);
int64_t gru_persistent_parts(int64_t batch);
void gru_persistent_backward(const Stream& stream, const GruRecurrence& r);

// In the stream's precision, tf32 or bf16.
bool gru_mma_fits(const Stream& stream, int64_t units);
void gru_mma_forward(const Stream& stream, const GruRecurrence& r);
int64_t gru_mma_parts(int64_t batch);
void gru_mma_backward(const Stream& stream, const GruRecurrence& r);

// In the stream's precision, tf32 or bf16, and for multiples of 16 units; needs sm_90.
bool gru_cluster_fits(const Stream& stream, int64_t units);
void gru_cluster_forward(const Stream& stream, const GruRecurrence& r);
int64_t gru_cluster_parts(int64_t batch);
void gru_cluster_backward(const Stream& stream, const GruRecurrence& r);
)
// clang-format on
