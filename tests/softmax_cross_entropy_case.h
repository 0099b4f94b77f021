#pragma once

// Case objects of the cross-entropy, for the CPU's test and the devices'.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "kernels/softmax_cross_entropy.h"
#include "tests/reference/harness.h"
#include "tests/reference/softmax_cross_entropy.h"

namespace etude::tests {

using kernels::CrossEntropyShape;

// The targets of the first rows are the first class and the last.
inline std::vector<int32_t> targets_for(const CrossEntropyShape& shape) {
  const auto classes = static_cast<int32_t>(shape.classes);
  std::vector<int32_t> targets = random_ids(shape.rows, 7, classes);
  targets[0] = 0;
  if (shape.rows > 1) targets[1] = classes - 1;
  return targets;
}

inline void cross_entropy_forward(const CrossEntropyShape& shape, const float* logits,
                                  const std::vector<int32_t>& targets, float* loss,
                                  Guarded& log_sum_exp) {
  kernels::cpu::softmax_cross_entropy_forward(shape, logits, targets.data(), loss,
                                              log_sum_exp.data());
  CHECK_MESSAGE(log_sum_exp.guards_intact(), "written outside log_sum_exp");
}

inline OpCase cross_entropy_case(const CrossEntropyShape& shape, const Vec& logits,
                                 const std::vector<int32_t>& targets, float scale = 1.0f) {
  OpCase c;
  c.name = fmt::format("cross-entropy {} x {}", shape.rows, shape.classes);
  const double floor =
      shape.classes == 1 ? 1 : 1e-3;  // the one probability is 1: p - 1 is rounding
  c.inputs = {{"logits", logits, 0, floor}};
  c.output = {1, shape.rows};
  c.dy = Vec(shape.rows, scale);
  c.reference_forward = [=](const Arrays& in) {
    return reference::softmax_cross_entropy_forward(shape, in[0], targets).loss;
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    return {reference::softmax_cross_entropy_backward(shape, in[0], targets, dy)};
  };
  c.forward = [=](const std::vector<const float*>& in, float* loss) {
    Guarded log_sum_exp(shape.rows);
    cross_entropy_forward(shape, in[0], targets, loss, log_sum_exp);
  };
  c.backward = [=](const std::vector<const float*>& in, const float*,
                   const std::vector<Gradient>& g) {
    Guarded loss(shape.rows), log_sum_exp(shape.rows);
    cross_entropy_forward(shape, in[0], targets, loss.data(), log_sum_exp);
    kernels::cpu::softmax_cross_entropy_backward(shape, scale, in[0], targets.data(),
                                                 log_sum_exp.data(), g[0].data, g[0].write);
    CHECK_MESSAGE(log_sum_exp.guards_intact(), "written outside log_sum_exp");
  };
  c.bits_of_threads = true;
  return c;
}

inline OpCase random_cross_entropy_case(const CrossEntropyShape& shape, float scale = 1.0f) {
  return cross_entropy_case(shape, random_numbers(shape.rows * shape.classes, 1, -4, 4),
                            targets_for(shape), scale);
}

// Logits of 1e4 and -1e4, alone and many.
struct ExtremeCrossEntropy {
  CrossEntropyShape shape{7, 33};
  std::vector<int32_t> targets = {4, 5, 0, 32, 2, 20, 32};
  Vec logits = random_numbers(shape.rows * shape.classes, 3);

  ExtremeCrossEntropy() {
    const auto fill = [&](int64_t row, double value) {
      std::fill_n(logits.begin() + row * shape.classes, shape.classes, value);
    };
    fill(0, -1e4);  // certain and right
    logits[4] = 1e4;
    fill(1, -1e4);  // certain and wrong
    logits[shape.classes + 4] = 1e4;
    fill(2, 1e4);   // all equal and large
    fill(3, -1e4);  // all equal and small
    for (int64_t j = 0; j < shape.classes; ++j) {
      logits[4 * shape.classes + j] = j % 2 == 0 ? 1e4 : -1e4;
      logits[5 * shape.classes + j] = -100 * static_cast<double>(j);
      logits[6 * shape.classes + j] = 1e4 + static_cast<double>(j % 7) / 4;
    }
  }
};

inline OpCase extreme_cross_entropy_case() {
  const ExtremeCrossEntropy extreme;
  OpCase c = cross_entropy_case(extreme.shape, extreme.logits, extreme.targets);
  // log_sum_exp near 1e4 is rounded at 5e-4, which is the relative error of every probability.
  c.forward_tolerance = 1e-6;
  c.backward_tolerance = 1e-3;
  return c;
}

}  // namespace etude::tests
