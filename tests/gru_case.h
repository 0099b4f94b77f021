#pragma once

// The GRU's inputs and, of its two directions together, the case object: what the tests of the
// CPU's kernel and of the device's share.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/gru.h"
#include "tests/reference/gru.h"
#include "tests/reference/harness.h"

namespace etude::tests {

using kernels::GruShape;
inline constexpr int kWeights = 4;  // arrays of one direction

inline int64_t output_rows(const GruShape& shape) {
  return shape.last_only ? shape.batch : shape.batch * shape.time;
}

inline reference::GruWeights reference_weights(const Arrays& inputs, size_t first) {
  return {inputs[first], inputs[first + 1], inputs[first + 2], inputs[first + 3]};
}

inline kernels::GruWeights kernel_weights(const std::vector<const float*>& inputs, size_t first) {
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
    CHECK((gates.guards_intact() && candidate.guards_intact() && previous.guards_intact()));
  }
};

inline void kernel_forward(const GruShape& shape, const std::vector<const float*>& in, size_t first,
                           float* y, int64_t y_stride) {
  SavedArrays saved(shape);
  kernels::cpu::gru_forward(shape, kernel_weights(in, first), in[0], y, y_stride, saved.pointers());
  saved.check();
}

inline void kernel_backward(const GruShape& shape, const std::vector<const float*>& in,
                            size_t first, const float* dy, int64_t dy_stride,
                            const std::vector<Gradient>& gradients, Write dx_write) {
  SavedArrays saved(shape);
  std::vector<float> y(output_rows(shape) * shape.units);
  kernels::cpu::gru_forward(shape, kernel_weights(in, first), in[0], y.data(), shape.units,
                            saved.pointers());
  const Gradient* g = &gradients[first];
  kernels::cpu::gru_backward(
      shape, kernel_weights(in, first), in[0], dy, dy_stride, saved.pointers(),
      {gradients[0].data, dx_write, g[0].data, g[1].data, g[2].data, g[3].data, g->write});
  saved.check();
}

inline void add_weights(const GruShape& shape, const std::string& direction, int group, OpCase& c) {
  const auto scale_of = [](int64_t n) { return 1.5 / std::sqrt(static_cast<double>(n)); };
  const int64_t gates = 3 * shape.units;
  uint64_t seed = 10 * static_cast<uint64_t>(group);
  const auto add = [&](const char* name, int64_t n, double scale) {
    c.inputs.push_back({direction + name, random_numbers(n, ++seed, -scale, scale), group});
  };
  add("kernel", shape.in * gates, scale_of(shape.in));
  add("recurrent_kernel", shape.units * gates, scale_of(shape.units));
  add("bias", gates, 1);
  add("recurrent_bias", gates, 1);
}

// As many differences as about 0.1 GFLOP of the reference allow.
inline int probes_for(const GruShape& shape) {
  const int64_t flops = 6 * shape.batch * shape.time * shape.units * (shape.units + shape.in);
  return static_cast<int>(std::clamp<int64_t>(10'000'000 / flops, 1, 64));
}

// The two halves of [rows, 2 units].
inline Vec half(const Vec& both, int64_t units, bool second) {
  Vec out;
  for (int64_t i = second ? units : 0; i < std::ssize(both); i += 2 * units)
    out.insert(out.end(), both.begin() + i, both.begin() + i + units);
  return out;
}

inline Vec side_by_side(const Vec& first, const Vec& second, int64_t units) {
  Vec out;
  for (int64_t i = 0; i < std::ssize(first); i += units)
    for (const Vec* from : {&first, &second})
      out.insert(out.end(), from->begin() + i, from->begin() + i + units);
  return out;
}

inline Arrays both_directions(const GruShape& forward, const GruShape& reverse, const Arrays& in,
                              const Vec& dy) {
  const auto f = reference::gru_backward(forward, reference_weights(in, 1), in[0],
                                         half(dy, forward.units, false));
  const auto r = reference::gru_backward(reverse, reference_weights(in, 1 + kWeights), in[0],
                                         half(dy, forward.units, true));
  Arrays gradients = {f.dx};
  for (size_t i = 0; i < f.dx.size(); ++i) gradients[0][i] += r.dx[i];
  for (const auto* g : {&f, &r})
    gradients.insert(gradients.end(),
                     {g->dkernel, g->drecurrent_kernel, g->dbias, g->drecurrent_bias});
  return gradients;
}

// Two directions that write into the halves of one output, and one after the other into dx.
inline OpCase bidirectional_case(const GruShape& forward) {
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
    const auto f = reference::gru_forward(forward, reference_weights(in, 1), in[0]);
    const auto r = reference::gru_forward(reverse, reference_weights(in, 1 + kWeights), in[0]);
    return side_by_side(f.y, r.y, units);
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

}  // namespace etude::tests
