#pragma once

// The case object of attention, for the tests of the CPU's kernels and of the devices'.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "tests/reference/attention.h"
#include "tests/reference/harness.h"

namespace etude::tests {

struct AttentionSavedArrays {
  explicit AttentionSavedArrays(const kernels::AttentionShape& shape)
      : query(shape.batch * shape.time * shape.features),
        scores(shape.batch * shape.heads * shape.time * shape.time),
        weights(shape.batch * shape.heads * shape.time * shape.time) {}
  Guarded query, scores, weights;
  kernels::cpu::AttentionSaved pointers() { return {query.data(), scores.data(), weights.data()}; }
  void check() const {
    CHECK_MESSAGE(query.guards_intact(), "written outside the saved queries");
    CHECK_MESSAGE(scores.guards_intact(), "written outside the saved scores");
    CHECK_MESSAGE(weights.guards_intact(), "written outside the saved weights");
  }
};

inline void attention_on_cpu(const kernels::AttentionShape& shape,
                             const std::vector<const float*>& in, float* y,
                             AttentionSavedArrays& saved) {
  kernels::cpu::attention_forward(shape, {in[1], in[2]}, in[0], y, saved.pointers());
  saved.check();
}

inline void attention_backward_on_cpu(const kernels::AttentionShape& shape,
                                      const std::vector<const float*>& in, const float* dy,
                                      const std::vector<Gradient>& gradients) {
  AttentionSavedArrays saved(shape);
  Guarded y(shape.batch * shape.time * shape.features);
  attention_on_cpu(shape, in, y.data(), saved);
  kernels::cpu::attention_backward(shape, {in[1], in[2]}, in[0], dy, saved.pointers(),
                                   {.dx = gradients[0].data,
                                    .dx_write = gradients[0].write,
                                    .dwa = gradients[1].data,
                                    .dwa_write = gradients[1].write,
                                    .dba = gradients[2].data,
                                    .dba_write = gradients[2].write});
  saved.check();
}

inline OpCase attention_case(const kernels::AttentionShape& shape) {
  OpCase c;
  c.name = fmt::format("attention B{} T{} F{} heads{} width{}{}", shape.batch, shape.time,
                       shape.features, shape.heads, shape.width, shape.sigmoid ? " sigmoid" : "");
  const int64_t dim = shape.features / shape.heads;
  const double scale = 2 / std::sqrt(static_cast<double>(dim));
  // Without the sigmoid ba moves all scores of a row alike, which the softmax does not see, and a
  // row of one score has one weight, 1, whatever the score: gradients are 0 then, and what comes
  // out is the rounding of terms of about 1.
  const bool one_score = shape.width == 1 || shape.time == 1;
  const double wa_floor = one_score ? 1 : 1e-3;
  const double ba_floor = one_score || !shape.sigmoid ? 1 : 1e-3;
  c.inputs = {
      {"x", random_numbers(shape.batch * shape.time * shape.features, 1), 0},
      {"wa", random_numbers(shape.heads * dim * dim, 2, -scale, scale), 1, wa_floor},
      {"ba", random_numbers(shape.heads, 3), 2, ba_floor},
  };
  c.output = {shape.batch * shape.time, shape.features};
  c.reference_forward = [=](const Arrays& in) {
    return reference::attention_forward(shape, {in[1], in[2]}, in[0]).y;
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    const auto g = reference::attention_backward(shape, {in[1], in[2]}, in[0], dy);
    return {g.dx, g.dwa, g.dba};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    AttentionSavedArrays saved(shape);
    attention_on_cpu(shape, in, y, saved);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& gradients) {
    attention_backward_on_cpu(shape, in, dy, gradients);
  };
  const int64_t flops =
      2 * shape.batch * shape.time * shape.features * (dim + 2 * std::min(shape.time, shape.width));
  c.probes = static_cast<int>(std::clamp<int64_t>(10'000'000 / flops, 2, 64));
  return c;
}

}  // namespace etude::tests
