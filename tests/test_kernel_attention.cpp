#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/attention_cases.h"
#include "tests/reference/vectors.h"

using namespace etude;
using namespace etude::tests;
using kernels::AttentionShape;

TEST_CASE("attention meets its reference with every number of heads, band and score") {
  for (const int64_t heads : {1, 2, 4})
    for (const int64_t width : {1, 4, 5, 50})
      for (const bool sigmoid : {false, true})
        check(attention_case({3, 9, 8, heads, width, sigmoid}));
}

TEST_CASE("attention meets its reference at odd sizes") {
  for (const bool sigmoid : {false, true})
    for (AttentionShape shape :
         {AttentionShape{1, 1, 1, 1, 1}, AttentionShape{7, 1, 33, 1, 50},
          AttentionShape{2, 33, 1, 1, 4}, AttentionShape{1, 33, 33, 1, 1},
          AttentionShape{7, 33, 12, 4, 33}, AttentionShape{33, 33, 4, 4, 100},
          AttentionShape{3, 50, 33, 1, 4}, AttentionShape{2, 50, 34, 2, 49},
          AttentionShape{1, 50, 132, 4, 50}, AttentionShape{2, 60, 33, 1, 50},
          AttentionShape{3, 60, 100, 2, 50}, AttentionShape{1, 60, 17, 1, 60},
          AttentionShape{1, 60, 10, 2, 1000}}) {
      shape.sigmoid = sigmoid;
      check(attention_case(shape));
    }
}

TEST_CASE("attention meets its reference at the paper's sizes") {
  for (const AttentionShape& shape : {AttentionShape{96, 50, 256}, AttentionShape{96, 50, 100}}) {
    OpCase c = attention_case(shape);
    c.once = true;
    c.probes = 0;
    check(c);
  }
}

TEST_CASE("attention stays finite where the scores are far apart") {
  for (const bool sigmoid : {false, true}) {
    OpCase c = attention_case({2, 33, 16, 2, 50, sigmoid});
    for (double& v : c.inputs[1].value) v *= 64;
    // A score of some hundreds is rounded at about 1e-5, and its exp relatively as much; the
    // sigmoid's slope is 0 but for a few.
    c.forward_tolerance = 1e-4;
    c.backward_tolerance = 1e-3;
    c.inputs[2].floor = 1;
    c.once = true;
    c.probes = 0;
    check(c);
  }
}

TEST_CASE("attention saves queries, scores and weights as its contract says") {
  for (const int64_t width : {1, 4, 7, 50, 100}) {
    const AttentionShape shape{3, 33, 10, 2, width};
    const OpCase c = attention_case(shape);
    const auto want = reference::attention_forward(shape, {c.inputs[1].value, c.inputs[2].value},
                                                   c.inputs[0].value);
    std::vector<std::vector<float>> floats;
    std::vector<const float*> pointers;
    for (const Input& input : c.inputs) floats.push_back(to_float(input.value));
    for (const auto& f : floats) pointers.push_back(f.data());
    Guarded y(shape.batch * shape.time * shape.features);
    AttentionSavedArrays saved(shape);
    attention_on_cpu(shape, pointers, y.data(), saved);
    Vec scores = saved.scores.numbers();
    const Vec weights = saved.weights.numbers();
    for (size_t i = 0; i < weights.size(); ++i)
      if (want.weights[i] == 0) {  // outside the band
        REQUIRE(weights[i] == 0);
        scores[i] = 0;
      }
    check_close("query", saved.query.numbers(), want.query, c.forward_tolerance);
    check_close("scores", scores, want.scores, c.forward_tolerance);
    check_close("weights", weights, want.weights, c.forward_tolerance);
  }
}

TEST_CASE("attention computes what PyTorch and Keras compute") {
  const Vectors vectors("attention");
  const auto cases = vectors.cases();
  REQUIRE(cases.size() >= 12);
  for (size_t n = 0; n < cases.size(); ++n) {
    const auto& about = cases[n];
    const bool sigmoid = about.at("activation") == "sigmoid";
    OpCase c = attention_case({about.at("batch"), about.at("time"), about.at("features"),
                               about.at("heads"), about.at("width"), sigmoid});
    Arrays gradients;
    for (Input& input : c.inputs) {
      input.value = vectors.numbers(fmt::format("case{}.{}", n, input.name));
      gradients.push_back(vectors.numbers(fmt::format("case{}.d{}", n, input.name)));
    }
    c.dy = vectors.numbers(fmt::format("case{}.dy", n));
    check_against(c, vectors.numbers(fmt::format("case{}.y", n)), gradients);
  }
}
