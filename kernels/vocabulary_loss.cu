// Which version: `separate` is a dense layer and a softmax_cross_entropy, and the reference for
// `recompute`, whose reasons and figures stand in vocabulary_loss_recompute.cu.
// Measured: not yet, no GPU was at hand.

#include "kernels/vocabulary_loss.h"

#include "kernels/simt/simt.h"
#include "kernels/softmax_cross_entropy.h"
#include "kernels/vocabulary_loss_recompute.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

// Beyond a few tiles of rows (vocabulary_loss_recompute.cu) the products outweigh the logits'
// way through memory, and cuBLAS does them better than they are done there.
bool recomputes(const VocabularyLossShape& s) {
  constexpr int64_t kMostRows = 384;
  return s.version == VocabularyLossVersion::recompute ||
         (s.version == VocabularyLossVersion::automatic && s.rows <= kMostRows &&
          vocabulary_loss_recompute_fits());
}

// saved by `separate`: logits [rows, classes], which become their own gradient, and log_sum_exp
// [rows]; by `recompute`: log_sum_exp alone.
float* log_sum_exp_of(const VocabularyLossShape& s, float* saved) {
  return recomputes(s) ? saved : saved + s.rows * s.classes;
}

void forward_separately(const Stream& stream, const VocabularyLossShape& s, const float* x,
                        const float* w, const float* b, const int32_t* targets, float* loss,
                        float* saved) {
  dense_forward(stream, {s.rows, s.in, s.classes}, x, w, b, saved);
  softmax_cross_entropy_forward(stream, {s.rows, s.classes}, saved, targets, loss,
                                log_sum_exp_of(s, saved));
}

void backward_separately(const Stream& stream, const VocabularyLossShape& s, const float* x,
                         const float* w, const int32_t* targets, float* saved,
                         const DenseGradients& gradients) {
  softmax_cross_entropy_backward(stream, {s.rows, s.classes}, 1.0f, saved, targets,
                                 log_sum_exp_of(s, saved), saved, Write::overwrite);
  dense_backward(stream, {s.rows, s.in, s.classes}, x, w, saved, gradients);
}

}  // namespace

int64_t vocabulary_loss_saved(const VocabularyLossShape& s) {
  return recomputes(s) ? s.rows : s.rows * (s.classes + 1);
}

int64_t vocabulary_loss_scratch(const VocabularyLossShape& s) {
  return recomputes(s) ? vocabulary_loss_recompute_scratch(s) : 0;
}

void vocabulary_loss_forward(const Stream& stream, const VocabularyLossShape& s, const float* x,
                             const float* w, const float* b, const int32_t* targets, float* loss,
                             float* saved, float* scratch) {
  if (recomputes(s))
    vocabulary_loss_recompute_forward(stream, s, x, w, b, targets, loss, log_sum_exp_of(s, saved),
                                      scratch);
  else
    forward_separately(stream, s, x, w, b, targets, loss, saved);
}

void vocabulary_loss_backward(const Stream& stream, const VocabularyLossShape& s, const float* x,
                              const float* w, const float* b, const int32_t* targets, float* saved,
                              float* scratch, const DenseGradients& gradients) {
  if (recomputes(s))
    vocabulary_loss_recompute_backward(stream, s, x, w, b, targets, log_sum_exp_of(s, saved),
                                       scratch, gradients);
  else
    backward_separately(stream, s, x, w, targets, saved, gradients);
}

}  // namespace etude::kernels::ETUDE_DEVICE
