#pragma once

// The CPU's GRU as a framework runs it off its fast path (GruVersion::stepwise): one matrix product
// of the whole batch a step, then pass after pass over memory, each of which all threads wait for.
// It is there to show what that costs. The contracts are those of gru.h.

#include "kernels/gru.h"

namespace etude::kernels::cpu {

void gru_stepwise_forward(const GruShape& shape, const GruWeights& weights, const float* x,
                          float* y, int64_t y_stride, const GruSaved& saved);
void gru_stepwise_backward(const GruShape& shape, const GruWeights& weights, const float* x,
                           const float* dy, int64_t dy_stride, const GruSaved& saved,
                           const GruGradients& gradients);

}  // namespace etude::kernels::cpu
