// The logits go through memory: from the cores' caches they come back at once, and to compute them
// twice would cost more than that.

#include "kernels/softmax_cross_entropy.h"
#include "kernels/vocabulary_loss.h"

namespace etude::kernels::cpu {
namespace {

// saved: logits [rows, classes], which become their own gradient, and log_sum_exp [rows].
float* log_sum_exp_of(const VocabularyLossShape& s, float* saved) {
  return saved + s.rows * s.classes;
}

}  // namespace

int64_t vocabulary_loss_saved(const VocabularyLossShape& s) { return s.rows * (s.classes + 1); }

int64_t vocabulary_loss_scratch(const VocabularyLossShape&) { return 0; }

void vocabulary_loss_forward(const VocabularyLossShape& s, const float* x, const float* w,
                             const float* b, const int32_t* targets, float* loss, float* saved,
                             float*) {
  dense_forward({s.rows, s.in, s.classes}, x, w, b, saved);
  softmax_cross_entropy_forward({s.rows, s.classes}, saved, targets, loss,
                                log_sum_exp_of(s, saved));
}

void vocabulary_loss_backward(const VocabularyLossShape& s, const float* x, const float* w,
                              const float*, const int32_t* targets, float* saved, float*,
                              const DenseGradients& gradients) {
  softmax_cross_entropy_backward({s.rows, s.classes}, 1.0f, saved, targets,
                                 log_sum_exp_of(s, saved), saved, Write::overwrite);
  dense_backward({s.rows, s.in, s.classes}, x, w, saved, gradients);
}

}  // namespace etude::kernels::cpu
