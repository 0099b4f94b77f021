#pragma once

// Softmax and sparse categorical cross-entropy in one: loss[i] = log(sum_j exp(l[i,j])) - l[i,t_i].
// No probability is ever stored: forward keeps one number a row (the log of the sum), from which
// backward makes exp(l - lse) again.
// Cost forward: one exp a logit, 4 rows*classes bytes (read once); backward: one exp, 8 bytes.

#include "kernels/types.h"

namespace etude::kernels {

struct CrossEntropyShape {
  int64_t rows, classes;
};

namespace cpu {

// logits [rows, classes], targets [rows] with 0 <= target < classes; loss [rows], in nats;
// log_sum_exp [rows], kept for backward.
void softmax_cross_entropy_forward(const CrossEntropyShape& shape, const float* logits,
                                   const int32_t* targets, float* loss, float* log_sum_exp);

// dlogits[i,j] = scale * (softmax(logits)[i,j] - [j == targets[i]]): the gradient of `scale` times
// the sum of the losses. dlogits may be the logits themselves when overwriting.
void softmax_cross_entropy_backward(const CrossEntropyShape& shape, float scale,
                                    const float* logits, const int32_t* targets,
                                    const float* log_sum_exp, float* dlogits, Write write);

}  // namespace cpu
}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
void softmax_cross_entropy_forward(const Stream& stream, const CrossEntropyShape& shape,
                                   const float* logits, const int32_t* targets, float* loss,
                                   float* log_sum_exp);
void softmax_cross_entropy_backward(const Stream& stream, const CrossEntropyShape& shape,
                                    float scale, const float* logits, const int32_t* targets,
                                    const float* log_sum_exp, float* dlogits, Write write);
)
// clang-format on
