#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/softmax_cross_entropy.h"
#include "tests/reference/harness.h"
#include "tests/reference/softmax_cross_entropy.h"
#include "tests/reference/vectors.h"

using namespace etude;
using namespace etude::tests;
using kernels::CrossEntropyShape;

namespace {

// The targets of the first rows are the first class and the last.
std::vector<int32_t> targets_for(const CrossEntropyShape& shape) {
  const auto classes = static_cast<int32_t>(shape.classes);
  std::vector<int32_t> targets = random_ids(shape.rows, 7, classes);
  targets[0] = 0;
  if (shape.rows > 1) targets[1] = classes - 1;
  return targets;
}

void forward(const CrossEntropyShape& shape, const float* logits,
             const std::vector<int32_t>& targets, float* loss, Guarded& log_sum_exp) {
  kernels::cpu::softmax_cross_entropy_forward(shape, logits, targets.data(), loss,
                                              log_sum_exp.data());
  CHECK_MESSAGE(log_sum_exp.guards_intact(), "written outside log_sum_exp");
}

OpCase cross_entropy_case(const CrossEntropyShape& shape, const Vec& logits,
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
    forward(shape, in[0], targets, loss, log_sum_exp);
  };
  c.backward = [=](const std::vector<const float*>& in, const float*,
                   const std::vector<Gradient>& g) {
    Guarded loss(shape.rows), log_sum_exp(shape.rows);
    forward(shape, in[0], targets, loss.data(), log_sum_exp);
    kernels::cpu::softmax_cross_entropy_backward(shape, scale, in[0], targets.data(),
                                                 log_sum_exp.data(), g[0].data, g[0].write);
    CHECK_MESSAGE(log_sum_exp.guards_intact(), "written outside log_sum_exp");
  };
  c.bits_of_threads = true;
  return c;
}

OpCase random_case(const CrossEntropyShape& shape, float scale = 1.0f) {
  return cross_entropy_case(shape, random_numbers(shape.rows * shape.classes, 1, -4, 4),
                            targets_for(shape), scale);
}

}  // namespace

TEST_CASE("cross-entropy meets its reference at odd sizes") {
  for (const CrossEntropyShape& shape :
       {CrossEntropyShape{1, 1}, CrossEntropyShape{33, 1}, CrossEntropyShape{1, 2},
        CrossEntropyShape{1, 33}, CrossEntropyShape{33, 33}, CrossEntropyShape{7, 17},
        CrossEntropyShape{3, 1001}})
    for (const float scale : {1.0f, 0.0625f}) check(random_case(shape, scale));
}

TEST_CASE("cross-entropy meets its reference at the paper's size") {
  OpCase c = random_case({96, 36011});
  c.probes = 0;
  check(c);
}

TEST_CASE("every probability of a large vocabulary is right, not only the large ones") {
  const CrossEntropyShape shape{3, 36011};
  const std::vector<int32_t> targets = targets_for(shape);
  const Vec logits = random_numbers(shape.rows * shape.classes, 2, -12, 12);
  const std::vector<float> floats = to_float(logits);
  Guarded loss(shape.rows), log_sum_exp(shape.rows), dlogits(shape.rows * shape.classes);
  forward(shape, floats.data(), targets, loss.data(), log_sum_exp);
  kernels::cpu::softmax_cross_entropy_backward(shape, 1.0f, floats.data(), targets.data(),
                                               log_sum_exp.data(), dlogits.data(),
                                               Write::overwrite);
  const Vec got = dlogits.numbers();
  const Vec want = reference::softmax_cross_entropy_backward(shape, logits, targets, {1, 1, 1});
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(got[i] / want[i] - 1));
  CHECK(worst < 1e-5);  // the difference of two numbers near 20, each rounded at 1e-6
  const auto reference = reference::softmax_cross_entropy_forward(shape, logits, targets);
  check_close("log_sum_exp", log_sum_exp.numbers(), reference.log_sum_exp, 1e-6);
}

TEST_CASE("cross-entropy stays exact with extreme logits") {
  const CrossEntropyShape shape{7, 33};
  Vec logits = random_numbers(shape.rows * shape.classes, 3);
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
  OpCase c = cross_entropy_case(shape, logits, {4, 5, 0, 32, 2, 20, 32});
  // log_sum_exp near 1e4 is rounded at 5e-4, which is the relative error of every probability.
  c.forward_tolerance = 1e-6;
  c.backward_tolerance = 1e-3;
  check(c);
}

TEST_CASE("the gradient may take the place of the logits") {
  const CrossEntropyShape shape{5, 1001};
  const std::vector<int32_t> targets = targets_for(shape);
  std::vector<float> logits = to_float(random_numbers(shape.rows * shape.classes, 5, -3, 3));
  std::vector<float> beside(logits.size());
  Guarded loss(shape.rows), log_sum_exp(shape.rows);
  forward(shape, logits.data(), targets, loss.data(), log_sum_exp);
  kernels::cpu::softmax_cross_entropy_backward(shape, 0.5f, logits.data(), targets.data(),
                                               log_sum_exp.data(), beside.data(), Write::overwrite);
  kernels::cpu::softmax_cross_entropy_backward(shape, 0.5f, logits.data(), targets.data(),
                                               log_sum_exp.data(), logits.data(), Write::overwrite);
  CHECK(logits == beside);
}

TEST_CASE("a NaN among the logits is seen in the loss and in the gradient") {
  const CrossEntropyShape shape{1, 35};
  for (int64_t place = 0; place < shape.classes; ++place) {
    std::vector<float> logits(shape.classes, 0.5f), dlogits(shape.classes);
    logits[place] = NAN;
    Guarded loss(1), log_sum_exp(1);
    forward(shape, logits.data(), {3}, loss.data(), log_sum_exp);
    const int32_t target = 3;
    kernels::cpu::softmax_cross_entropy_backward(
        shape, 1.0f, logits.data(), &target, log_sum_exp.data(), dlogits.data(), Write::overwrite);
    CHECK(std::isnan(*loss.data()));
    CHECK(std::isnan(dlogits[place]));
  }
}

TEST_CASE("cross-entropy is what PyTorch and Keras compute") {
  const Vectors vectors("softmax_cross_entropy");
  const auto cases = vectors.cases();
  REQUIRE(cases.size() >= 4);
  for (size_t n = 0; n < cases.size(); ++n) {
    const std::string key = fmt::format("case{}.", n);
    const OpCase c =
        cross_entropy_case({cases[n].at("rows"), cases[n].at("classes")},
                           vectors.numbers(key + "logits"), vectors.integers(key + "targets"));
    check_against(c, vectors.numbers(key + "losses"), {vectors.numbers(key + "dlogits")});
  }
}
