#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "kernels/gru.h"
#include "tests/reference/gru.h"
#include "tests/reference/harness.h"
#include "tests/reference/vectors.h"

using namespace etude;
using namespace etude::tests;
using kernels::GruShape;

namespace {

constexpr int kWeights = 4;
const std::array<std::string, kWeights> kNames = {"kernel", "recurrent_kernel", "bias",
                                                  "recurrent_bias"};

int64_t output_rows(const GruShape& shape) {
  return shape.last_only ? shape.batch : shape.batch * shape.time;
}

reference::GruWeights reference_weights(const Arrays& inputs, size_t first) {
  return {inputs[first], inputs[first + 1], inputs[first + 2], inputs[first + 3]};
}

kernels::GruWeights kernel_weights(const std::vector<const float*>& inputs, size_t first) {
  return {inputs[first], inputs[first + 1], inputs[first + 2], inputs[first + 3]};
}

struct SavedArrays {
  explicit SavedArrays(const GruShape& shape)
      : gates(shape.batch * shape.time * 3 * shape.units),
        candidate(shape.batch * shape.time * shape.units),
        previous(shape.batch * shape.time * shape.units) {}
  Guarded gates, candidate, previous;
  kernels::cpu::GruSaved pointers() { return {gates.data(), candidate.data(), previous.data()}; }
  void check() const {
    CHECK_MESSAGE(gates.guards_intact(), "written outside the saved gates");
    CHECK_MESSAGE(candidate.guards_intact(), "written outside the saved candidate");
    CHECK_MESSAGE(previous.guards_intact(), "written outside the saved states");
  }
};

void kernel_forward(const GruShape& shape, const std::vector<const float*>& in, size_t first,
                    float* y, int64_t y_stride) {
  SavedArrays saved(shape);
  kernels::cpu::gru_forward(shape, kernel_weights(in, first), in[0], y, y_stride, saved.pointers());
  saved.check();
}

void kernel_backward(const GruShape& shape, const std::vector<const float*>& in, size_t first,
                     const float* dy, int64_t dy_stride, const std::vector<Gradient>& gradients,
                     Write dx_write) {
  SavedArrays saved(shape);
  std::vector<float> y(output_rows(shape) * shape.units);
  kernels::cpu::gru_forward(shape, kernel_weights(in, first), in[0], y.data(), shape.units,
                            saved.pointers());
  kernels::cpu::gru_backward(shape, kernel_weights(in, first), in[0], dy, dy_stride,
                             saved.pointers(),
                             {.dx = gradients[0].data,
                              .dx_write = dx_write,
                              .dkernel = gradients[first].data,
                              .drecurrent_kernel = gradients[first + 1].data,
                              .dbias = gradients[first + 2].data,
                              .drecurrent_bias = gradients[first + 3].data,
                              .weights_write = gradients[first].write});
  saved.check();
}

void add_weights(const GruShape& shape, const std::string& direction, int group, OpCase& c) {
  const double in_scale = 1.5 / std::sqrt(static_cast<double>(shape.in));
  const double unit_scale = 1.5 / std::sqrt(static_cast<double>(shape.units));
  const int64_t gates = 3 * shape.units;
  const uint64_t seed = 10 * static_cast<uint64_t>(group);
  c.inputs.push_back({direction + kNames[0],
                      random_numbers(shape.in * gates, seed + 1, -in_scale, in_scale), group});
  c.inputs.push_back({direction + kNames[1],
                      random_numbers(shape.units * gates, seed + 2, -unit_scale, unit_scale),
                      group});
  c.inputs.push_back({direction + kNames[2], random_numbers(gates, seed + 3), group});
  c.inputs.push_back({direction + kNames[3], random_numbers(gates, seed + 4), group});
}

// As many differences as about 0.1 GFLOP of the reference allow.
int probes_for(const GruShape& shape) {
  const int64_t flops = 6 * shape.batch * shape.time * shape.units * (shape.units + shape.in);
  return static_cast<int>(std::clamp<int64_t>(10'000'000 / flops, 1, 64));
}

OpCase direction_case(const GruShape& shape, int64_t gap = 0) {
  OpCase c;
  c.name = fmt::format("gru B{} T{} in{} units{}{}{} gap{}", shape.batch, shape.time, shape.in,
                       shape.units, shape.reverse ? " reverse" : "", shape.last_only ? " last" : "",
                       gap);
  c.inputs = {{"x", random_numbers(shape.batch * shape.time * shape.in, 5), 0}};
  add_weights(shape, "", 1, c);
  const int64_t stride = shape.units + gap;
  c.output = {output_rows(shape), shape.units, stride};
  c.reference_forward = [=](const Arrays& in) {
    return reference::gru_forward(shape, reference_weights(in, 1), in[0]).y;
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    const auto g = reference::gru_backward(shape, reference_weights(in, 1), in[0], dy);
    return {g.dx, g.dkernel, g.drecurrent_kernel, g.dbias, g.drecurrent_bias};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernel_forward(shape, in, 1, y, stride);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& gradients) {
    kernel_backward(shape, in, 1, dy, stride, gradients, gradients[0].write);
  };
  c.dx_may_be_null = true;
  c.probes = probes_for(shape);
  return c;
}

OpCase direction_case_at_paper_size(const GruShape& shape, int64_t gap) {
  OpCase c = direction_case(shape, gap);
  c.once = true;
  c.probes = 0;
  return c;
}

// The two halves of [rows, 2 units].
Vec half(const Vec& both, int64_t units, bool second) {
  Vec out;
  for (int64_t i = second ? units : 0; i < std::ssize(both); i += 2 * units)
    out.insert(out.end(), both.begin() + i, both.begin() + i + units);
  return out;
}

Vec side_by_side(const Vec& first, const Vec& second, int64_t units) {
  Vec out;
  for (int64_t i = 0; i < std::ssize(first); i += units) {
    out.insert(out.end(), first.begin() + i, first.begin() + i + units);
    out.insert(out.end(), second.begin() + i, second.begin() + i + units);
  }
  return out;
}

Arrays both_directions(const GruShape& forward, const GruShape& reverse, const Arrays& in,
                       const Vec& dy) {
  const auto f = reference::gru_backward(forward, reference_weights(in, 1), in[0],
                                         half(dy, forward.units, false));
  const auto r = reference::gru_backward(reverse, reference_weights(in, 1 + kWeights), in[0],
                                         half(dy, forward.units, true));
  Vec dx = f.dx;
  for (size_t i = 0; i < dx.size(); ++i) dx[i] += r.dx[i];
  return {dx,
          f.dkernel,
          f.drecurrent_kernel,
          f.dbias,
          f.drecurrent_bias,
          r.dkernel,
          r.drecurrent_kernel,
          r.dbias,
          r.drecurrent_bias};
}

// Two directions that write into the halves of one output, and one after the other into dx.
OpCase bidirectional_case(const GruShape& forward) {
  OpCase c;
  GruShape reverse = forward;
  reverse.reverse = true;
  const int64_t units = forward.units;
  c.name = fmt::format("bidirectional gru B{} T{} in{} units{}{}", forward.batch, forward.time,
                       forward.in, units, forward.last_only ? " last" : "");
  c.inputs = {{"x", random_numbers(forward.batch * forward.time * forward.in, 6), 0}};
  add_weights(forward, "forward.", 1, c);
  add_weights(reverse, "backward.", 2, c);
  c.output = {output_rows(forward), 2 * units};
  c.reference_forward = [=](const Arrays& in) {
    return side_by_side(
        reference::gru_forward(forward, reference_weights(in, 1), in[0]).y,
        reference::gru_forward(reverse, reference_weights(in, 1 + kWeights), in[0]).y, units);
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) {
    return both_directions(forward, reverse, in, dy);
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernel_forward(forward, in, 1, y, 2 * units);
    kernel_forward(reverse, in, 1 + kWeights, y + units, 2 * units);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& g) {
    kernel_backward(forward, in, 1, dy, 2 * units, g, g[0].write);
    kernel_backward(reverse, in, 1 + kWeights, dy + units, 2 * units, g, Write::add);
  };
  c.probes = probes_for(forward);
  return c;
}

}  // namespace

TEST_CASE("the GRU meets its reference in either direction, with every output and stride") {
  for (const bool reverse : {false, true})
    for (const bool last_only : {false, true})
      for (const int64_t gap : {0, 5}) check(direction_case({3, 7, 4, 6, reverse, last_only}, gap));
}

TEST_CASE("the GRU meets its reference at odd sizes") {
  bool last_only = false;
  for (const GruShape& shape :
       {GruShape{1, 1, 1, 1}, GruShape{33, 50, 1, 1}, GruShape{1, 33, 33, 1},
        GruShape{7, 33, 33, 5}, GruShape{96, 2, 1, 5}, GruShape{33, 5, 100, 16},
        GruShape{1, 50, 33, 16}, GruShape{96, 3, 33, 33}, GruShape{7, 33, 1, 33},
        GruShape{33, 3, 100, 128}, GruShape{1, 20, 100, 128}, GruShape{7, 4, 33, 130},
        GruShape{96, 2, 100, 130}}) {
    for (const bool reverse : {false, true}) {
      GruShape variant = shape;
      variant.reverse = reverse;
      variant.last_only = last_only = !last_only;
      check(direction_case(variant, variant.units % 3));
    }
    last_only = !last_only;
  }
}

TEST_CASE("two directions of a GRU share one output and one gradient of the input") {
  check(bidirectional_case({3, 6, 5, 7}));
  check(bidirectional_case({7, 9, 33, 16, false, true}));
}

TEST_CASE("the GRU meets its reference at the paper's sizes") {
  check(direction_case_at_paper_size({96, 50, 256, 128}, 128));
  check(direction_case_at_paper_size({8, 50, 100, 128, true}, 128));
  check(direction_case_at_paper_size({8, 50, 256, 128, true, true}, 128));
}

TEST_CASE("the GRU saves gates, candidates and states as its contract says") {
  for (const bool reverse : {false, true}) {
    const GruShape shape{7, 9, 5, 33, reverse};
    const OpCase c = direction_case(shape);
    Arrays inputs;
    for (const Input& input : c.inputs) inputs.push_back(input.value);
    const auto want = reference::gru_forward(shape, reference_weights(inputs, 1), inputs[0]);
    std::vector<std::vector<float>> floats;
    std::vector<const float*> pointers;
    for (const Vec& v : inputs) floats.push_back(to_float(v));
    for (const auto& f : floats) pointers.push_back(f.data());
    Guarded y(shape.batch * shape.time * shape.units);
    SavedArrays saved(shape);
    kernels::cpu::gru_forward(shape, kernel_weights(pointers, 1), pointers[0], y.data(),
                              shape.units, saved.pointers());
    check_close("gates", saved.gates.numbers(), want.gates, c.forward_tolerance);
    check_close("candidate", saved.candidate.numbers(), want.candidate, c.forward_tolerance);
    check_close("previous", saved.previous.numbers(), want.previous, c.forward_tolerance);
  }
}

TEST_CASE("the GRU computes what PyTorch's computes") {
  const Vectors vectors("gru");
  const auto cases = vectors.cases();
  REQUIRE(cases.size() >= 4);
  for (size_t n = 0; n < cases.size(); ++n)
    for (const std::string kind : {"sequence", "last"}) {
      const std::string key = fmt::format("case{}.", n);
      OpCase c = bidirectional_case({cases[n].at("batch"), cases[n].at("time"), cases[n].at("in"),
                                     cases[n].at("units"), false, kind == "last"});
      Arrays gradients;
      for (Input& input : c.inputs) {
        input.value = vectors.numbers(key + input.name);
        const size_t part = input.name.find('.') + 1;  // behind the direction, if there is one
        gradients.push_back(vectors.numbers(fmt::format(
            "{}{}.{}d{}", key, kind, input.name.substr(0, part), input.name.substr(part))));
      }
      c.dy = vectors.numbers(key + kind + ".dy");
      check_against(c, vectors.numbers(key + kind + ".y"), gradients);
    }
}
