#include "tests/reference/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace etude::reference {
namespace {

// The largest logit is taken out first: exp of what remains cannot overflow.
double log_sum_exp(const double* logits, int64_t classes) {
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (int64_t j = 0; j < classes; ++j) sum += std::exp(logits[j] - largest);
  return largest + std::log(sum);
}

}  // namespace

CrossEntropy softmax_cross_entropy_forward(const kernels::CrossEntropyShape& shape,
                                           const Vec& logits, const std::vector<int32_t>& targets) {
  CrossEntropy out{Vec(shape.rows), Vec(shape.rows)};
  for (int64_t i = 0; i < shape.rows; ++i) {
    const double* row = &logits[i * shape.classes];
    out.log_sum_exp[i] = log_sum_exp(row, shape.classes);
    out.loss[i] = out.log_sum_exp[i] - row[targets[i]];
  }
  return out;
}

Vec softmax_cross_entropy_backward(const kernels::CrossEntropyShape& shape, const Vec& logits,
                                   const std::vector<int32_t>& targets, const Vec& dloss) {
  Vec dlogits(shape.rows * shape.classes);
  for (int64_t i = 0; i < shape.rows; ++i) {
    const double* row = &logits[i * shape.classes];
    const double lse = log_sum_exp(row, shape.classes);
    for (int64_t j = 0; j < shape.classes; ++j)
      dlogits[i * shape.classes + j] =
          dloss[i] * (std::exp(row[j] - lse) - (j == targets[i] ? 1 : 0));
  }
  return dlogits;
}

}  // namespace etude::reference
