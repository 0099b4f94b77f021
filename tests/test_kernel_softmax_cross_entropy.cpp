#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/reference/vectors.h"
#include "tests/softmax_cross_entropy_case.h"

using namespace etude;
using namespace etude::tests;

TEST_CASE("cross-entropy meets its reference at odd sizes") {
  for (const CrossEntropyShape& shape :
       {CrossEntropyShape{1, 1}, CrossEntropyShape{33, 1}, CrossEntropyShape{1, 2},
        CrossEntropyShape{1, 33}, CrossEntropyShape{33, 33}, CrossEntropyShape{7, 17},
        CrossEntropyShape{3, 1001}})
    for (const float scale : {1.0f, 0.0625f}) check(random_cross_entropy_case(shape, scale));
}

TEST_CASE("cross-entropy meets its reference at the paper's size") {
  OpCase c = random_cross_entropy_case({96, 36011});
  c.probes = 0;
  check(c);
}

TEST_CASE("every probability of a large vocabulary is right, not only the large ones") {
  const CrossEntropyShape shape{3, 36011};
  const std::vector<int32_t> targets = targets_for(shape);
  const Vec logits = random_numbers(shape.rows * shape.classes, 2, -12, 12);
  const std::vector<float> floats = to_float(logits);
  Guarded loss(shape.rows), log_sum_exp(shape.rows), dlogits(shape.rows * shape.classes);
  cross_entropy_forward(shape, floats.data(), targets, loss.data(), log_sum_exp);
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

TEST_CASE("cross-entropy stays exact with extreme logits") { check(extreme_cross_entropy_case()); }

TEST_CASE("the gradient may take the place of the logits") {
  const CrossEntropyShape shape{5, 1001};
  const std::vector<int32_t> targets = targets_for(shape);
  std::vector<float> logits = to_float(random_numbers(shape.rows * shape.classes, 5, -3, 3));
  std::vector<float> beside(logits.size());
  Guarded loss(shape.rows), log_sum_exp(shape.rows);
  cross_entropy_forward(shape, logits.data(), targets, loss.data(), log_sum_exp);
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
    cross_entropy_forward(shape, logits.data(), {3}, loss.data(), log_sum_exp);
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
