#pragma once

#include "kernels/softmax_cross_entropy.h"
#include "tests/reference/types.h"

namespace etude::reference {

struct CrossEntropy {
  Vec loss, log_sum_exp;  // [rows]
};

CrossEntropy softmax_cross_entropy_forward(const kernels::CrossEntropyShape& shape,
                                           const Vec& logits, const std::vector<int32_t>& targets);

// dloss [rows]; the kernels know only one number for all rows, their `scale`.
Vec softmax_cross_entropy_backward(const kernels::CrossEntropyShape& shape, const Vec& logits,
                                   const std::vector<int32_t>& targets, const Vec& dloss);

}  // namespace etude::reference
