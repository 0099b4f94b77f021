#pragma once

// Cases of the ops that treat every element alone, for the CPU's tests and the devices'.

#include <fmt/format.h>

#include <cmath>

#include "kernels/add.h"
#include "kernels/dropout.h"
#include "kernels/leaky_relu.h"
#include "tests/reference/add.h"
#include "tests/reference/dropout.h"
#include "tests/reference/harness.h"
#include "tests/reference/leaky_relu.h"

namespace etude::tests {

inline OpCase leaky_relu_case(int64_t n, float slope) {
  OpCase c;
  c.name = fmt::format("leaky_relu {}, slope {}", n, slope);
  c.inputs = {{"x", random_numbers(n, 1), 0}};
  for (double& v : c.inputs[0].value)
    if (std::abs(v) < 1e-3) v = 0.5;  // a difference across the kink is no slope
  c.output = {1, n};
  c.reference_forward = [=](const Arrays& in) {
    return reference::leaky_relu_forward(slope, in[0]);
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    return {reference::leaky_relu_backward(slope, in[0], dy)};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernels::cpu::leaky_relu_forward(n, slope, in[0], y);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& g) {
    kernels::cpu::leaky_relu_backward(n, slope, in[0], dy, g[0].data, g[0].write);
  };
  c.bits_of_threads = true;
  c.forward_tolerance = c.backward_tolerance = 1e-7;  // one rounding
  return c;
}

inline OpCase add_case(int64_t n) {
  OpCase c;
  c.name = fmt::format("add {}", n);
  c.inputs = {{"a", random_numbers(n, 1), 0}, {"b", random_numbers(n, 2), 1}};
  c.output = {1, n};
  c.reference_forward = [](const Arrays& in) { return reference::add_forward(in[0], in[1]); };
  c.reference_backward = [](const Arrays&, const Vec& dy) -> Arrays {
    return {reference::add_backward(dy), reference::add_backward(dy)};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernels::cpu::add_forward(n, in[0], in[1], y);
  };
  c.backward = [=](const std::vector<const float*>&, const float* dy,
                   const std::vector<Gradient>& gradients) {
    for (const Gradient& g : gradients) kernels::cpu::add_backward(n, dy, g.data, g.write);
  };
  c.bits_of_threads = true;
  c.forward_tolerance = c.backward_tolerance = 1e-7;  // one rounding
  return c;
}

inline constexpr kernels::RandomKey kDropoutKey = {0x123456789abcdef0, 7, 4711};

inline OpCase dropout_case(int64_t n, float rate, const kernels::RandomKey& key) {
  OpCase c;
  c.name = fmt::format("dropout {}, rate {}", n, rate);
  c.inputs = {{"x", random_numbers(n, 1), 0}};
  c.output = {1, n};
  c.reference_forward = [=](const Arrays& in) {
    return reference::dropout_forward(rate, key, in[0]);
  };
  c.reference_backward = [=](const Arrays&, const Vec& dy) -> Arrays {
    return {reference::dropout_backward(rate, key, dy)};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernels::cpu::dropout_forward(n, rate, key, in[0], y);
  };
  c.backward = [=](const std::vector<const float*>&, const float* dy,
                   const std::vector<Gradient>& g) {
    kernels::cpu::dropout_backward(n, rate, key, dy, g[0].data, g[0].write);
  };
  c.bits_of_threads = true;
  c.forward_tolerance = c.backward_tolerance = 2e-7;  // 1 - rate, its inverse and one product
  return c;
}

}  // namespace etude::tests
