#pragma once

// The output layer and its loss in one: logits = x w + b, loss[i] = log(sum_j exp(l[i,j])) -
// l[i,t_i], so that a device need not write the logits (13.8 MB at the paper's size) to memory,
// and the CPU goes over them once each way.
// Cost: 2 rows*in*classes FLOPs forward, twice that backward; at least the weights once each way.

#include "kernels/dense.h"
#include "kernels/types.h"

namespace etude::kernels {

enum class VocabularyLossVersion {
  automatic,  // the fastest; on the CPU in strips of classes, with a kernel of its own
  separate,   // a dense layer, then softmax_cross_entropy: the logits go through memory
  recompute,  // on devices: two fused kernels; backward makes the logits again
};

struct VocabularyLossShape {
  int64_t rows, in, classes;
  VocabularyLossVersion version = VocabularyLossVersion::automatic;
  int64_t blocks = 0;  // of `recompute`, at most; 0: one a multiprocessor
};

}  // namespace etude::kernels

// x [rows, in], w [in, classes], b [classes], targets [rows] below classes, loss [rows] in nats.
// backward gives the gradient of the sum of the losses. `saved` and `scratch` are the caller's, of
// so many floats and 16-byte boundaries; saved lives from forward to backward, which may overwrite
// it, scratch no longer than a call.
// clang-format off
ETUDE_ON_DEVICE(
int64_t vocabulary_loss_saved(const VocabularyLossShape& shape);
int64_t vocabulary_loss_scratch(const VocabularyLossShape& shape);
void vocabulary_loss_forward(const Stream& stream, const VocabularyLossShape& shape, const float* x,
                             const float* w, const float* b, const int32_t* targets, float* loss,
                             float* saved, float* scratch);
void vocabulary_loss_backward(const Stream& stream, const VocabularyLossShape& shape,
                              const float* x, const float* w, const float* b,
                              const int32_t* targets, float* saved, float* scratch,
                              const DenseGradients& gradients);
)
// clang-format on

namespace etude::kernels::cpu {

int64_t vocabulary_loss_saved(const VocabularyLossShape& shape);
int64_t vocabulary_loss_scratch(const VocabularyLossShape& shape);
void vocabulary_loss_forward(const VocabularyLossShape& shape, const float* x, const float* w,
                             const float* b, const int32_t* targets, float* loss, float* saved,
                             float* scratch);
void vocabulary_loss_backward(const VocabularyLossShape& shape, const float* x, const float* w,
                              const float* b, const int32_t* targets, float* saved, float* scratch,
                              const DenseGradients& gradients);

}  // namespace etude::kernels::cpu
