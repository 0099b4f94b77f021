// The CUDA kernels that treat every element alone: leaky ReLU, the residual sum, dropout.

#include <doctest/doctest.h>

#include "tests/elementwise_cases.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::RandomKey;
using kernels::Stream;

namespace {

using Inputs = DeviceOp::Inputs;

// Every tail of four, of a block's 1,024 elements, and more blocks than one.
constexpr int64_t kSizes[] = {1, 2, 3, 4, 33, 1023, 1026, 96 * 64};

std::vector<float> dropout_on(const Stream& stream, float rate, const RandomKey& key,
                              const std::vector<float>& x) {
  const DeviceArray<uint32_t> step(stream, std::vector<uint32_t>{key.step});
  const DeviceArray<float> in(stream, x), out(stream, std::ssize(x));
  ON_DEVICE(stream, dropout_forward, std::ssize(x), rate, {key.seed, key.stream, step.data()},
            in.data(), out.data());
  CHECK(out.guards_intact());
  CHECK(step.read() == std::vector<uint32_t>{key.step});
  return out.read();
}

std::vector<float> dropout_on_cpu(float rate, const RandomKey& key, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  kernels::cpu::dropout_forward(std::ssize(x), rate, key, x.data(), y.data());
  return y;
}

}  // namespace

TEST_CASE("leaky ReLU's CUDA kernels compute what the CPU's do") {
  const float slope = 0.3f;
  for (const int64_t n : kSizes)
    check_on_devices(
        leaky_relu_case(n, slope),
        {.forward = [=](const Stream& stream, const Inputs& in,
                        float* y) { ON_DEVICE(stream, leaky_relu_forward, n, slope, in[0], y); },
         .backward =
             [=](const Stream& stream, const Inputs& in, const float* dy,
                 const std::vector<Gradient>& g) {
               ON_DEVICE(stream, leaky_relu_backward, n, slope, in[0], dy, g[0].data, g[0].write);
             },
         .fp32_tolerance = 1e-7});
}

TEST_CASE("a sum's CUDA kernels compute what the CPU's do") {
  for (const int64_t n : kSizes)
    check_on_devices(add_case(n), {.forward =
                                       [=](const Stream& stream, const Inputs& in, float* y) {
                                         ON_DEVICE(stream, add_forward, n, in[0], in[1], y);
                                       },
                                   .backward =
                                       [=](const Stream& stream, const Inputs&, const float* dy,
                                           const std::vector<Gradient>& gradients) {
                                         for (const Gradient& g : gradients)
                                           ON_DEVICE(stream, add_backward, n, dy, g.data, g.write);
                                       },
                                   .fp32_tolerance = 1e-7});
}

TEST_CASE("dropout's CUDA kernels compute what the CPU's do") {
  for (const int64_t n : kSizes)
    for (const float rate : {0.0f, 0.3f, 0.999f})
      check_on_devices(
          dropout_case(n, rate, kDropoutKey),
          {.forward =
               [=](const Stream& stream, const Inputs& in, float* y) {
                 const DeviceArray<uint32_t> step(stream, std::vector<uint32_t>{kDropoutKey.step});
                 ON_DEVICE(stream, dropout_forward, n, rate,
                           {kDropoutKey.seed, kDropoutKey.stream, step.data()}, in[0], y);
                 kernels::synchronize(stream);
               },
           .backward =
               [=](const Stream& stream, const Inputs&, const float* dy,
                   const std::vector<Gradient>& g) {
                 const DeviceArray<uint32_t> step(stream, std::vector<uint32_t>{kDropoutKey.step});
                 ON_DEVICE(stream, dropout_backward, n, rate,
                           {kDropoutKey.seed, kDropoutKey.stream, step.data()}, dy, g[0].data,
                           g[0].write);
                 kernels::synchronize(stream);
               },
           .fp32_tolerance = 2e-7});
}

TEST_CASE("dropout on a device has the CPU's bits, for every key") {
  const std::vector<float> x = to_float(random_numbers(50'003, 5));
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams)
    for (const RandomKey& key :
         {RandomKey{}, kDropoutKey, RandomKey{1, 0xffffffff, 2}, RandomKey{~uint64_t{0}, 3, 4}})
      for (const float rate : {0.1f, 0.5f, 0.75f})
        CHECK(dropout_on(stream, rate, key, x) == dropout_on_cpu(rate, key, x));
  close_streams(streams);
}

TEST_CASE("dropout reads the step when it runs, not when it is recorded") {
  const std::vector<float> x = to_float(random_numbers(1001, 5));
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    const DeviceArray<uint32_t> step(stream, std::vector<uint32_t>{0});
    const DeviceArray<float> in(stream, x), out(stream, std::ssize(x));
    kernels::begin_capture(stream);
    ON_DEVICE(stream, dropout_forward, std::ssize(x), 0.3f,
              {kDropoutKey.seed, kDropoutKey.stream, step.data()}, in.data(), out.data());
    kernels::Graph graph = kernels::end_capture(stream);
    for (const uint32_t now : {1u, 2u, 1u}) {
      kernels::copy_to_device(stream, step.data(), &now, sizeof now);
      kernels::replay(stream, graph);
      CHECK(out.read() == dropout_on_cpu(0.3f, {kDropoutKey.seed, kDropoutKey.stream, now}, x));
    }
    kernels::release(stream, graph);
  }
  close_streams(streams);
}

TEST_CASE("element-wise kernels work off a 16-byte boundary and in place") {
  const std::vector<float> x = to_float(random_numbers(1002, 5));
  const std::vector<float> tail(x.begin() + 1, x.end());
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    const DeviceArray<uint32_t> step(stream, std::vector<uint32_t>{kDropoutKey.step});
    const DeviceArray<float> a(stream, x), b(stream, x);
    const int64_t n = std::ssize(tail);
    ON_DEVICE(stream, dropout_forward, n, 0.3f, {kDropoutKey.seed, kDropoutKey.stream, step.data()},
              a.data() + 1, a.data() + 1);
    ON_DEVICE(stream, add_forward, n, b.data() + 1, a.data() + 1, b.data() + 1);
    std::vector<float> want = dropout_on_cpu(0.3f, kDropoutKey, tail);
    const std::vector<float> dropped = a.read();
    CHECK(std::vector<float>(dropped.begin() + 1, dropped.end()) == want);
    for (size_t i = 0; i < want.size(); ++i) want[i] += tail[i];
    const std::vector<float> sums = b.read();
    CHECK(std::vector<float>(sums.begin() + 1, sums.end()) == want);
    CHECK(dropped[0] == x[0]);
    CHECK(sums[0] == x[0]);
    CHECK((a.guards_intact() && b.guards_intact()));
  }
  close_streams(streams);
}
