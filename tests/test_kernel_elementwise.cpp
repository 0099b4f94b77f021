// The two ops that treat every element alone: leaky ReLU and the residual sum.

#include <doctest/doctest.h>

#include "tests/elementwise_cases.h"

using namespace etude;
using namespace etude::tests;

namespace {

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
