#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"
#include "tests/elementwise_cases.h"
#include "tests/reference/philox.h"

using namespace etude;
using namespace etude::tests;
using kernels::RandomKey;

namespace {

constexpr RandomKey kKey = kDropoutKey;

// Which of n elements are dropped.
std::vector<bool> mask(int64_t n, float rate, const RandomKey& key) {
  const std::vector<float> ones(n, 1.0f);
  std::vector<float> y(n);
  kernels::cpu::dropout_forward(n, rate, key, ones.data(), y.data());
  std::vector<bool> dropped;
  for (const float v : y) dropped.push_back(v == 0);
  return dropped;
}

double share(int64_t count, int64_t n) {
  return static_cast<double>(count) / static_cast<double>(n);
}

}  // namespace

TEST_CASE("Philox gives the published numbers") {
  using Four = std::array<uint32_t, 4>;
  CHECK(reference::philox_4x32_10({0, 0, 0, 0}, {0, 0}) ==
        Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const uint32_t ones = 0xffffffff;
  CHECK(reference::philox_4x32_10({ones, ones, ones, ones}, {ones, ones}) ==
        Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(reference::philox_4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                                  {0xa4093822, 0x299f31d0}) ==
        Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("the kernels' numbers are Philox's, by seed, stream, step and block") {
  for (const RandomKey& key : {RandomKey{}, kKey, RandomKey{1, 0xffffffff, 2}})
    for (const uint64_t block :
         {uint64_t{0}, uint64_t{1}, uint64_t{0xffffffff}, uint64_t{1} << 40}) {
      const auto four = kernels::philox(key, block);
      for (size_t i = 0; i < 4; ++i) CHECK(four[i] == reference::random_bits(key, 4 * block + i));
    }
}

TEST_CASE("uniform numbers lie within (0, 1)") {
  CHECK(kernels::uniform(0) > 0);
  CHECK(kernels::uniform(0xffffffff) < 1);
  CHECK(kernels::uniform(0x80000000) == doctest::Approx(0.5).epsilon(1e-9));
}

TEST_CASE("dropout meets its reference") {
  for (const int64_t n : {1, 3, 4, 33, 130, 1001})
    for (const float rate : {0.0f, 0.3f, 0.5f, 0.999f}) check(dropout_case(n, rate, kKey));
}

TEST_CASE("dropout meets its reference at the paper's size") {
  OpCase c = dropout_case(96 * 50 * 256 + 3, 0.3f, kKey);
  c.probes = 1;
  check(c);
}

TEST_CASE("dropout drops exactly the elements that Philox names") {
  const int64_t n = 100'003;
  for (const float rate : {0.1f, 0.3f, 0.75f}) {
    const std::vector<bool> dropped = mask(n, rate, kKey);
    int64_t different = 0;
    for (int64_t i = 0; i < n; ++i)
      different += dropped[i] != (reference::dropout_factor(rate, kKey, i) == 0);
    CHECK(different == 0);
  }
}

TEST_CASE("dropout of rate 0 is the identity") {
  const std::vector<float> x = to_float(random_numbers(1001, 4));
  std::vector<float> y(x.size());
  kernels::cpu::dropout_forward(std::ssize(x), 0.0f, kKey, x.data(), y.data());
  CHECK(y == x);
}

TEST_CASE("dropout may work in place") {
  const std::vector<float> x = to_float(random_numbers(1001, 4));
  std::vector<float> y(x.size()), in_place = x;
  kernels::cpu::dropout_forward(std::ssize(x), 0.3f, kKey, x.data(), y.data());
  kernels::cpu::dropout_forward(std::ssize(x), 0.3f, kKey, in_place.data(), in_place.data());
  CHECK(in_place == y);
}

TEST_CASE("dropout drops as many as its rate says") {
  const int64_t n = 1'000'000;
  for (const float rate : {0.1f, 0.3f, 0.9f}) {
    const std::vector<bool> dropped = mask(n, rate, kKey);
    const double deviation = std::sqrt(rate * (1 - rate) / static_cast<double>(n));
    CHECK(std::abs(share(std::count(dropped.begin(), dropped.end(), true), n) - rate) <
          5 * deviation);
  }
}

TEST_CASE("another seed, stream or step gives an unrelated mask") {
  const int64_t n = 100'000;
  const float rate = 0.3f;
  const std::vector<bool> first = mask(n, rate, kKey);
  for (const RandomKey& key : {RandomKey{kKey.seed + 1, kKey.stream, kKey.step},
                               RandomKey{kKey.seed + (uint64_t{1} << 32), kKey.stream, kKey.step},
                               RandomKey{kKey.seed, kKey.stream + 1, kKey.step},
                               RandomKey{kKey.seed, kKey.stream, kKey.step + 1}}) {
    const std::vector<bool> other = mask(n, rate, key);
    int64_t equal = 0;
    for (int64_t i = 0; i < n; ++i) equal += first[i] == other[i];
    const double expected = rate * rate + (1 - rate) * (1 - rate);
    CHECK(std::abs(share(equal, n) - expected) < 5 * 0.5 / std::sqrt(static_cast<double>(n)));
  }
}
