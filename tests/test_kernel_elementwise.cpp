// The two ops that treat every element alone: leaky ReLU and the residual sum.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "kernels/add.h"
#include "kernels/leaky_relu.h"
#include "tests/reference/add.h"
#include "tests/reference/device.h"
#include "tests/reference/harness.h"
#include "tests/reference/leaky_relu.h"

using namespace etude;
using namespace etude::tests;

namespace {

OpCase leaky_relu_case(int64_t n, float slope) {
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

OpCase add_case(int64_t n) {
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

constexpr int64_t kSizes[] = {1, 3, 33, 1000, 96 * 64, 200'001};

}  // namespace

TEST_CASE("leaky ReLU meets its reference") {
  for (const int64_t n : kSizes)
    for (const float slope : {0.3f, 0.0f, 1.0f}) {
      OpCase c = leaky_relu_case(n, slope);
      c.probes = n > 10000 ? 1 : c.probes;
      check(c);
    }
}

TEST_CASE("leaky ReLU's CUDA kernels compute what the CPU's do") {
  for (const int64_t n : {1, 3, 33, 1000, 96 * 64}) {
    const float slope = 0.3f;
    check_on_devices(
        leaky_relu_case(n, slope),
        {.forward = [=](const kernels::Stream& stream, const DeviceOp::Inputs& in,
                        float* y) { DEVICE_CALL(stream, leaky_relu_forward, n, slope, in[0], y); },
         .backward =
             [=](const kernels::Stream& stream, const DeviceOp::Inputs& in, const float* dy,
                 const std::vector<Gradient>& g) {
               DEVICE_CALL(stream, leaky_relu_backward, n, slope, in[0], dy, g[0].data, g[0].write);
             }});
  }
}

TEST_CASE("leaky ReLU's slope at zero is that of the negative side") {
  const std::vector<float> x = {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f};
  const std::vector<float> dy(x.size(), 2.0f);
  std::vector<float> y(x.size()), dx(x.size());
  kernels::cpu::leaky_relu_forward(std::ssize(x), 0.25f, x.data(), y.data());
  kernels::cpu::leaky_relu_backward(std::ssize(x), 0.25f, x.data(), dy.data(), dx.data(),
                                    Write::overwrite);
  CHECK(y == std::vector<float>{0.0f, 0.0f, 1e-30f, -0.25e-30f, 1e30f, -0.25e30f});
  CHECK(dx == std::vector<float>{0.5f, 0.5f, 2.0f, 0.5f, 2.0f, 0.5f});
}

TEST_CASE("a sum and its gradients meet their reference") {
  for (const int64_t n : kSizes) {
    OpCase c = add_case(n);
    c.probes = n > 10000 ? 1 : c.probes;
    check(c);
  }
}
