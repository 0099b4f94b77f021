// The devices' attention: every version in every precision against the reference.

#include "kernels/simt/simt.h"
#include "tests/attention_cases.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::AttentionShape;
using kernels::AttentionVersion;
using kernels::Precision;
using kernels::Stream;

namespace {

// What forward leaves for backward, and what backward needs beside it.
struct Memory {
  Memory(const Stream& stream, const AttentionShape& shape)
      : y(stream, shape.batch * shape.time * shape.features),
        saved(stream, kernels::simt::attention_saved(shape)),
        scratch(stream, kernels::simt::attention_scratch(shape)) {}
  DeviceArray<float> y, saved, scratch;
  void check() const {
    CHECK_MESSAGE(y.guards_intact(), "written outside y");
    CHECK_MESSAGE(saved.guards_intact(), "written outside what is saved");
    CHECK_MESSAGE(scratch.guards_intact(), "written outside scratch");
  }
};

void forward(const Stream& stream, const AttentionShape& shape, const DeviceOp::Inputs& in,
             float* y, const Memory& memory) {
  const kernels::AttentionWeights weights = {in[1], in[2]};
  DEVICE_CALL(stream, attention_forward, shape, weights, in[0], y, memory.saved.data());
}

void backward(const Stream& stream, const AttentionShape& shape, const DeviceOp::Inputs& in,
              const float* dy, const Memory& memory, const std::vector<Gradient>& g) {
  const kernels::AttentionWeights weights = {in[1], in[2]};
  const kernels::AttentionGradients gradients = {g[0].data,  g[0].write, g[1].data,
                                                 g[1].write, g[2].data,  g[2].write};
  DEVICE_CALL(stream, attention_backward, shape, weights, in[0], memory.y.data(), dy,
              memory.saved.data(), memory.scratch.data(), gradients);
}

double rounded(double value, Precision precision) {
  const float x = static_cast<float>(value);
  if (precision == Precision::tf32)
    return kernels::simt::__uint_as_float(kernels::simt::to_tf32(x));
  return kernels::simt::to_float(kernels::simt::to_bf16(x));
}

Vec rounded(Vec values, Precision precision) {
  for (double& v : values) v = rounded(v, precision);
  return values;
}

// y where the operands of every product are rounded. The weights are rounded before they are
// divided by their sum, so with the largest of each row at 1 where there is no sigmoid.
Vec rounded_forward(const AttentionShape& s, const Arrays& in, Precision precision) {
  const int64_t dim = s.features / s.heads;
  const Vec x = rounded(in[0], precision);
  const auto exact = reference::attention_forward(s, {rounded(in[1], precision), in[2]}, x);
  const Vec query = rounded(exact.query, precision);
  Vec y(x.size());
  for (int64_t row = 0; row < s.batch * s.heads * s.time; ++row) {
    const int64_t i = row % s.time, head = row / s.time % s.heads, b = row / s.time / s.heads;
    const auto at = [&](int64_t t) { return (b * s.time + t) * s.features + head * dim; };
    std::vector<double> e(s.time, -1e300);
    for (int64_t j = std::max<int64_t>(0, i - s.width / 2);
         j < std::min(s.time, i - s.width / 2 + s.width); ++j) {
      double sum = in[2][head];
      for (int64_t d = 0; d < dim; ++d) sum += query[at(i) + d] * x[at(j) + d];
      e[j] = s.sigmoid ? 1 / (1 + std::exp(-sum)) : sum;
    }
    const double largest = s.sigmoid ? 0 : *std::max_element(e.begin(), e.end());
    double sum = 0;
    for (const double score : e) sum += std::exp(score - largest);
    for (int64_t j = 0; j < s.time; ++j) {
      const double weight = rounded(std::exp(e[j] - largest), precision) / sum;
      for (int64_t d = 0; d < dim; ++d) y[at(i) + d] += weight * x[at(j) + d];
    }
  }
  return y;
}

DeviceOp device_op(const AttentionShape& shape, Precision precision) {
  DeviceOp op;
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* y) {
    const Memory memory(stream, shape);
    forward(stream, shape, in, y, memory);
    kernels::synchronize(stream);
    memory.check();
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float* dy,
                    const std::vector<Gradient>& gradients) {
    const Memory memory(stream, shape);
    forward(stream, shape, in, memory.y.data(), memory);
    backward(stream, shape, in, dy, memory, gradients);
    kernels::synchronize(stream);
    memory.check();
  };
  // The maximum of a row that several blocks of keys make moves while they are made.
  const bool one_maximum = shape.sigmoid || shape.time <= 64;
  if (shape.version != AttentionVersion::simple && precision != Precision::fp32 && one_maximum)
    op.rounded_forward = [=](const Arrays& in) { return rounded_forward(shape, in, precision); };
  return op;
}

void check(AttentionShape shape, AttentionVersion version, Precision precision) {
  shape.version = version;
  OpCase c = attention_case(shape);
  c.name += fmt::format(" version {}", static_cast<int>(version));
  check_on_devices(c, device_op(shape, precision), precision);
}

const std::vector<AttentionShape> kShapes = {
    {1, 1, 1, 1, 50},   {2, 3, 5, 1, 5},    {2, 33, 12, 3, 50},  {1, 50, 100, 1, 50},
    {2, 65, 10, 2, 50}, {1, 130, 8, 1, 50}, {1, 130, 8, 1, 200}, {1, 70, 9, 3, 1},
};

}  // namespace

TEST_CASE("attention's simple kernels compute what the CPU's do") {
  for (AttentionShape shape : kShapes)
    for (const bool sigmoid : {true, false}) {
      shape.sigmoid = sigmoid;
      check(shape, AttentionVersion::simple, Precision::fp32);
    }
}

TEST_CASE("attention's tiled kernels compute what the CPU's do, in every precision") {
  for (AttentionShape shape : kShapes)
    for (const bool sigmoid : {true, false})
      for (const auto precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
        shape.sigmoid = sigmoid;
        check(shape, AttentionVersion::tiled, precision);
        if (shape.time <= 64) check(shape, AttentionVersion::window, precision);
      }
}
