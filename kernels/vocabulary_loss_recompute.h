#pragma once

// Version `recompute` of vocabulary_loss.h, for its dispatcher alone. log_sum_exp [rows] is what
// forward leaves for backward.

#include "kernels/vocabulary_loss.h"

// clang-format off
ETUDE_ON_DEVICE(
bool vocabulary_loss_recompute_fits();  // a block into the device's shared memory
int64_t vocabulary_loss_recompute_scratch(const VocabularyLossShape& shape);
void vocabulary_loss_recompute_forward(const Stream& stream, const VocabularyLossShape& shape,
                                       const float* x, const float* w, const float* b,
                                       const int32_t* targets, float* loss, float* log_sum_exp,
                                       float* scratch);
void vocabulary_loss_recompute_backward(const Stream& stream, const VocabularyLossShape& shape,
                                        const float* x, const float* w, const float* b,
                                        const int32_t* targets, const float* log_sum_exp,
                                        float* scratch, const DenseGradients& gradients);
)
// clang-format on
