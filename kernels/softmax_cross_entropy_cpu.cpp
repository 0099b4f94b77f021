#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/parallel.h"
#include "kernels/simd_lanes.h"
#include "kernels/softmax_cross_entropy.h"

namespace etude::kernels::cpu {
namespace {

// log(sum of exp(x)) = largest + log_of_sum. Kept apart: a loss is the difference of large numbers
// where logits are large.
struct LogSumExp {
  float largest;
  double log_of_sum;
};

LogSumExp log_sum_exp_of(int64_t n, const float* x) {
  const float largest = *std::max_element(x, x + n);
  Vec sum{};
  int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) sum += exp(load(x + j) - largest);
  double total = horizontal_sum(sum);
  for (; j < n; ++j) total += std::exp(static_cast<double>(x[j]) - largest);
  return {largest, std::log(total)};
}

void row_gradient(int64_t n, float scale, const float* x, float log_sum, float* dx, Write write) {
  for (int64_t j = 0; j < n; j += kLanes) {
    const int64_t lanes = n - j;
    Vec gradient = scale * exp(load(x + j, lanes) - log_sum);
    if (write == Write::add) gradient += load(dx + j, lanes);
    store(dx + j, gradient, lanes);
  }
}

}  // namespace

void softmax_cross_entropy_forward(const CrossEntropyShape& s, const float* logits,
                                   const int32_t* targets, float* loss, float* log_sum_exp) {
  parallel_tasks(s.rows, [&](int64_t i) {
    const float* row = logits + i * s.classes;
    const LogSumExp sum = log_sum_exp_of(s.classes, row);
    log_sum_exp[i] = static_cast<float>(sum.largest + sum.log_of_sum);
    loss[i] = static_cast<float>((sum.largest - row[targets[i]]) + sum.log_of_sum);
  });
}

void softmax_cross_entropy_backward(const CrossEntropyShape& s, float scale, const float* logits,
                                    const int32_t* targets, const float* log_sum_exp,
                                    float* dlogits, Write write) {
  parallel_tasks(s.rows, [&](int64_t i) {
    float* drow = dlogits + i * s.classes;
    row_gradient(s.classes, scale, logits + i * s.classes, log_sum_exp[i], drow, write);
    drow[targets[i]] -= scale;
  });
}

}  // namespace etude::kernels::cpu
