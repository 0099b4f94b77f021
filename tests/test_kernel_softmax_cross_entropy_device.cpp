// The cross-entropy's CUDA kernels: what they compute is what the CPU's do.

#include <doctest/doctest.h>

#include <cmath>

#include "tests/reference/device.h"
#include "tests/softmax_cross_entropy_case.h"

using namespace etude;
using namespace etude::tests;
using kernels::Stream;

namespace {

// What lies on the device beside logits and gradient.
struct Beside {
  DeviceArray<int32_t> targets;
  DeviceArray<float> loss, log_sum_exp;
  Beside(const Stream& stream, const std::vector<int32_t>& to)
      : targets(stream, to), loss(stream, std::ssize(to)), log_sum_exp(stream, std::ssize(to)) {}
  void check_guards() const {
    CHECK_MESSAGE(targets.guards_intact(), "written outside the targets");
    CHECK_MESSAGE(loss.guards_intact(), "written outside the loss");
    CHECK_MESSAGE(log_sum_exp.guards_intact(), "written outside log_sum_exp");
  }
};

DeviceOp device_op(const CrossEntropyShape& shape, const std::vector<int32_t>& targets,
                   float scale = 1.0f) {
  DeviceOp op;
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* loss) {
    const Beside beside(stream, targets);
    ON_DEVICE(stream, softmax_cross_entropy_forward, shape, in[0], beside.targets.data(), loss,
              beside.log_sum_exp.data());
    beside.check_guards();
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float*,
                    const std::vector<Gradient>& g) {
    const Beside beside(stream, targets);
    ON_DEVICE(stream, softmax_cross_entropy_forward, shape, in[0], beside.targets.data(),
              beside.loss.data(), beside.log_sum_exp.data());
    ON_DEVICE(stream, softmax_cross_entropy_backward, shape, scale, in[0], beside.targets.data(),
              beside.log_sum_exp.data(), g[0].data, g[0].write);
    beside.check_guards();
  };
  return op;
}

}  // namespace

TEST_CASE("cross-entropy's CUDA kernels compute what the CPU's do") {
  for (const CrossEntropyShape& shape :
       {CrossEntropyShape{1, 1}, CrossEntropyShape{33, 1}, CrossEntropyShape{1, 33},
        CrossEntropyShape{33, 33}, CrossEntropyShape{7, 17}, CrossEntropyShape{3, 1001},
        CrossEntropyShape{2, 9000}})
    for (const float scale : {1.0f, 0.0625f})
      check_on_devices(random_cross_entropy_case(shape, scale),
                       device_op(shape, targets_for(shape), scale));
}

TEST_CASE("cross-entropy's CUDA kernels stay exact with extreme logits") {
  const ExtremeCrossEntropy extreme;
  DeviceOp op = device_op(extreme.shape, extreme.targets);
  op.fp32_tolerance = 1e-3;  // as the CPU's gradient: log_sum_exp is near 1e4
  check_on_devices(extreme_cross_entropy_case(), op);
}

TEST_CASE("on a device, too, the gradient may take the place of the logits") {
  const CrossEntropyShape shape{5, 1001};
  const std::vector<float> logits = to_float(random_numbers(shape.rows * shape.classes, 5, -3, 3));
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    const Beside beside(stream, targets_for(shape));
    const DeviceArray<float> in_place(stream, logits), away(stream, std::ssize(logits));
    ON_DEVICE(stream, softmax_cross_entropy_forward, shape, in_place.data(), beside.targets.data(),
              beside.loss.data(), beside.log_sum_exp.data());
    for (float* to : {away.data(), in_place.data()})
      ON_DEVICE(stream, softmax_cross_entropy_backward, shape, 0.5f, in_place.data(),
                beside.targets.data(), beside.log_sum_exp.data(), to, Write::overwrite);
    CHECK(in_place.read() == away.read());
    CHECK(in_place.guards_intact());
  }
  close_streams(streams);
}

TEST_CASE("on a device, too, a NaN among the logits is seen") {
  const CrossEntropyShape shape{1, 35};
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams)
    for (size_t place = 0; place < 35; ++place) {
      std::vector<float> numbers(35, 0.5f);
      numbers[place] = NAN;
      const Beside beside(stream, {3});
      const DeviceArray<float> logits(stream, numbers), dlogits(stream, 35);
      ON_DEVICE(stream, softmax_cross_entropy_forward, shape, logits.data(), beside.targets.data(),
                beside.loss.data(), beside.log_sum_exp.data());
      ON_DEVICE(stream, softmax_cross_entropy_backward, shape, 1.0f, logits.data(),
                beside.targets.data(), beside.log_sum_exp.data(), dlogits.data(), Write::overwrite);
      CHECK(std::isnan(beside.loss.read()[0]));
      CHECK(std::isnan(dlogits.read()[place]));
    }
  close_streams(streams);
}

TEST_CASE("a captured cross-entropy follows what lies in the device's memory") {
  const CrossEntropyShape shape{3, 130};
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    const Beside beside(stream, {1, 2, 3});
    const DeviceArray<float> logits(stream, std::vector<float>(shape.rows * shape.classes, 0.0f));
    kernels::begin_capture(stream);
    ON_DEVICE(stream, softmax_cross_entropy_forward, shape, logits.data(), beside.targets.data(),
              beside.loss.data(), beside.log_sum_exp.data());
    kernels::Graph graph = kernels::end_capture(stream);
    for (const uint64_t seed : {1, 2}) {
      const Vec numbers = random_numbers(shape.rows * shape.classes, seed);
      const std::vector<float> floats = to_float(numbers);
      const std::vector<int32_t> targets = random_ids(shape.rows, seed, 130);
      kernels::copy_to_device(stream, logits.data(), floats.data(),
                              std::ssize(floats) * static_cast<int64_t>(sizeof(float)));
      kernels::copy_to_device(stream, beside.targets.data(), targets.data(),
                              std::ssize(targets) * static_cast<int64_t>(sizeof(int32_t)));
      kernels::replay(stream, graph);
      kernels::synchronize(stream);
      check_close("loss, replayed", to_double(beside.loss.read()),
                  reference::softmax_cross_entropy_forward(shape, numbers, targets).loss, 1e-5);
    }
    kernels::release(stream, graph);
  }
  close_streams(streams);
}
