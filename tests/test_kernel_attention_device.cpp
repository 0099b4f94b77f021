// The devices' attention: every version in every precision against the reference.

#include <deque>

#include "kernels/simt/simt.h"
#include "tests/attention_cases.h"
#include "tests/elementwise_cases.h"
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
  Memory(const Stream& stream, const AttentionShape& shape, float rate = 0)
      : step(stream, std::vector<uint32_t>{kDropoutKey.step}),
        dropout{rate, {kDropoutKey.seed, kDropoutKey.stream, rate > 0 ? step.data() : nullptr}},
        y(stream, shape.batch * shape.time * shape.features),
        saved(stream, ON_DEVICE(stream, attention_saved, shape, dropout)),
        scratch(stream, ON_DEVICE(stream, attention_scratch, shape, dropout)) {}
  DeviceArray<uint32_t> step;
  kernels::DropoutMask dropout;
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
  ON_DEVICE(stream, attention_forward, shape, weights, memory.dropout, in[0], y,
            memory.saved.data());
}

void backward(const Stream& stream, const AttentionShape& shape, const DeviceOp::Inputs& in,
              const float* dy, const Memory& memory, const std::vector<Gradient>& g) {
  const kernels::AttentionWeights weights = {in[1], in[2]};
  const kernels::AttentionGradients gradients = {g[0].data,  g[0].write, g[1].data,
                                                 g[1].write, g[2].data,  g[2].write};
  ON_DEVICE(stream, attention_backward, shape, weights, memory.dropout, in[0], memory.y.data(), dy,
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

DeviceOp device_op(const AttentionShape& shape, Precision precision, float rate = 0) {
  DeviceOp op;
  op.cublas_rounds = true;  // of q = x Wa
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* y) {
    const Memory memory(stream, shape, rate);
    forward(stream, shape, in, y, memory);
    kernels::synchronize(stream);
    memory.check();
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float* dy,
                    const std::vector<Gradient>& gradients) {
    const Memory memory(stream, shape, rate);
    forward(stream, shape, in, memory.y.data(), memory);
    backward(stream, shape, in, dy, memory, gradients);
    kernels::synchronize(stream);
    memory.check();
  };
  // The maximum of a row that several blocks of keys make moves while they are made.
  const bool one_maximum = shape.sigmoid || shape.time <= 64;
  if (shape.version != AttentionVersion::simple && precision != Precision::fp32 && one_maximum)
    op.rounded_forward = [=](const Arrays& in) {
      return reference::dropout_forward(rate, kDropoutKey, rounded_forward(shape, in, precision));
    };
  return op;
}

// dba is a sum of terms that nearly cancel, and its rounding error is theirs: what it is measured
// against, the root of their squares' sum.
double bias_scale(const AttentionShape& s, const OpCase& c, const Vec& dy) {
  const Vec &x = c.inputs[0].value, &wa = c.inputs[1].value, &ba = c.inputs[2].value;
  const auto saved = reference::attention_forward(s, {wa, ba}, x);
  const int64_t dim = s.features / s.heads;
  double squares = 0;
  for (int64_t row = 0; row < s.batch * s.heads * s.time; ++row) {
    const int64_t head = row / s.time % s.heads, b = row / s.time / s.heads;
    const auto at = [&](int64_t t) { return (b * s.time + t) * s.features + head * dim; };
    Vec da(s.time);
    double inner = 0;
    for (int64_t j = 0; j < s.time; ++j) {
      for (int64_t d = 0; d < dim; ++d) da[j] += dy[at(row % s.time) + d] * x[at(j) + d];
      inner += saved.weights[row * s.time + j] * da[j];
    }
    for (int64_t j = 0; j < s.time; ++j) {
      const double e = saved.scores[row * s.time + j];
      const double term =
          saved.weights[row * s.time + j] * (da[j] - inner) * (s.sigmoid ? e * (1 - e) : 1);
      squares += term * term;
    }
  }
  return std::sqrt(squares / static_cast<double>(s.heads));
}

OpCase device_case(const AttentionShape& shape) {
  OpCase c = attention_case(shape);
  c.name += fmt::format(" version {}", static_cast<int>(shape.version));
  c.dy = random_numbers(shape.batch * shape.time * shape.features, 4);
  c.inputs[2].floor = std::max(c.inputs[2].floor, bias_scale(shape, c, c.dy));
  return c;
}

// The same and dropout behind it.
OpCase dropout_behind(const OpCase& attention, float rate) {
  OpCase c = attention;
  const int64_t n = c.output.rows * c.output.width;
  c.name += fmt::format(" dropout {}", rate);
  c.reference_forward = [=](const Arrays& in) {
    return reference::dropout_forward(rate, kDropoutKey, attention.reference_forward(in));
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) {
    return attention.reference_backward(in, reference::dropout_backward(rate, kDropoutKey, dy));
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    attention.forward(in, y);
    kernels::cpu::dropout_forward(n, rate, kDropoutKey, y, y);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& gradients) {
    std::vector<float> dropped(n);
    kernels::cpu::dropout_backward(n, rate, kDropoutKey, dy, dropped.data(), Write::overwrite);
    attention.backward(in, dropped.data(), gradients);
  };
  return c;
}

constexpr Precision kPrecisions[] = {Precision::fp32, Precision::tf32, Precision::bf16};

void check(AttentionShape shape, AttentionVersion version, Precision precision) {
  shape.version = version;
  OpCase c = device_case(shape);
  c.once = precision != Precision::fp32;  // adding is the same code
  check_on_devices(c, device_op(shape, precision), precision);
}

void check_dropout(AttentionShape shape, AttentionVersion version, Precision precision,
                   float rate = 0.3f) {
  shape.version = version;
  OpCase c = dropout_behind(device_case(shape), rate);
  c.once = precision != Precision::fp32;
  check_on_devices(c, device_op(shape, precision, rate), precision);
}

// y and the gradients of x with dropout in attention, and with dropout's own kernels around it.
std::pair<std::vector<float>, std::vector<float>> dropped(const Stream& stream, const OpCase& c,
                                                          const AttentionShape& shape, float rate,
                                                          bool apart) {
  const Memory memory(stream, shape, apart ? 0 : rate), key(stream, shape, rate);
  std::deque<DeviceArray<float>> inputs, results;
  DeviceOp::Inputs in;
  std::vector<Gradient> gradients;
  for (const Input& input : c.inputs) {
    in.push_back(inputs.emplace_back(stream, to_float(input.value)).data());
    gradients.push_back(
        {results.emplace_back(stream, std::ssize(input.value)).data(), Write::overwrite});
  }
  const DeviceArray<float> dy(stream, to_float(c.dy)), y(stream, std::ssize(c.dy));
  forward(stream, shape, in, memory.y.data(), memory);
  const float* gradient = dy.data();
  if (apart) {
    ON_DEVICE(stream, dropout_forward, std::ssize(c.dy), rate, key.dropout.key, memory.y.data(),
              y.data());
    ON_DEVICE(stream, dropout_backward, std::ssize(c.dy), rate, key.dropout.key, dy.data(),
              dy.data(), Write::overwrite);
  }
  backward(stream, shape, in, gradient, memory, gradients);
  kernels::synchronize(stream);
  return {apart ? y.read() : memory.y.read(), results[0].read()};
}

// Forward and backward into what the two vectors say: y, dx, dwa, dba.
std::vector<std::vector<float>> step(const Stream& stream, const OpCase& c,
                                     const AttentionShape& shape, bool captured) {
  const Memory memory(stream, shape);
  std::deque<DeviceArray<float>> inputs, results;
  DeviceOp::Inputs in;
  std::vector<Gradient> gradients;
  for (const Input& input : c.inputs) {
    in.push_back(inputs.emplace_back(stream, to_float(input.value)).data());
    gradients.push_back(
        {results.emplace_back(stream, std::ssize(input.value)).data(), Write::overwrite});
  }
  const DeviceArray<float> dy(stream, to_float(c.dy));
  const auto run = [&] {
    forward(stream, shape, in, memory.y.data(), memory);
    backward(stream, shape, in, dy.data(), memory, gradients);
  };
  run_or_replay(stream, captured, run);
  std::vector<std::vector<float>> out = {memory.y.read()};
  for (const auto& result : results) out.push_back(result.read());
  return out;
}

}  // namespace

TEST_CASE("attention's simple kernels compute what the CPU's do") {
  for (AttentionShape shape : {AttentionShape{1, 1, 1, 1, 50}, AttentionShape{2, 3, 5, 1, 5},
                               AttentionShape{1, 33, 12, 3, 50}, AttentionShape{1, 50, 100, 1, 50},
                               AttentionShape{1, 66, 8, 1, 200}, AttentionShape{1, 66, 4, 2, 1}})
    for (const bool sigmoid : {true, false}) {
      shape.sigmoid = sigmoid;
      check(shape, AttentionVersion::simple, Precision::fp32);
    }
}

TEST_CASE("attention's tiled kernels compute what the CPU's do, in every precision") {
  for (AttentionShape shape : {AttentionShape{1, 1, 1, 1, 50}, AttentionShape{2, 3, 5, 1, 5},
                               AttentionShape{2, 65, 10, 2, 50}, AttentionShape{1, 130, 8, 1, 50},
                               AttentionShape{1, 130, 9, 1, 200}, AttentionShape{1, 70, 6, 2, 1}})
    for (const bool sigmoid : {true, false})
      for (const Precision precision : kPrecisions) {
        shape.sigmoid = sigmoid;
        if (sigmoid || precision != Precision::tf32)
          check(shape, AttentionVersion::tiled, precision);
      }
}

TEST_CASE("attention's tiled kernels take features of more than one piece") {
  check({1, 66, 264, 1, 5}, AttentionVersion::tiled, Precision::fp32);
  check({1, 20, 264, 1, 5}, AttentionVersion::tiled, Precision::tf32);
  check({1, 20, 264, 1, 50}, AttentionVersion::tiled, Precision::bf16);
  // Not in bf16: what it rounds off a product of 514 numbers moves these scores by hundredths.
  check({1, 9, 514, 1, 50}, AttentionVersion::tiled, Precision::fp32);
  check({1, 9, 514, 1, 50}, AttentionVersion::tiled, Precision::tf32);
}

TEST_CASE("attention's window kernel computes what the CPU's does, in every precision") {
  for (AttentionShape shape : {AttentionShape{1, 1, 1, 1, 50}, AttentionShape{2, 3, 5, 1, 5},
                               AttentionShape{1, 33, 12, 3, 50}, AttentionShape{1, 64, 10, 2, 1}})
    for (const bool sigmoid : {true, false})
      for (const Precision precision : kPrecisions) {
        shape.sigmoid = sigmoid;
        check(shape, AttentionVersion::window, precision);
      }
}

TEST_CASE("attention on devices near the paper's sizes") {
  for (const Precision precision : kPrecisions) {
    check({1, 50, 256}, AttentionVersion::automatic, precision);
    check({1, 50, 100}, AttentionVersion::automatic, precision);
    check({1, 50, 100}, AttentionVersion::tiled, precision);
  }
}

TEST_CASE("attention on devices stays finite where the scores are far apart") {
  for (const auto version :
       {AttentionVersion::simple, AttentionVersion::tiled, AttentionVersion::window})
    for (const int64_t time : {33, 90}) {
      AttentionShape shape{1, time, 16, 2, 50, false};
      shape.version = version;
      OpCase c = device_case(shape);
      for (double& v : c.inputs[1].value) v *= 64;
      c.inputs[2].floor = 1;
      DeviceOp op = device_op(shape, Precision::fp32);
      op.fp32_tolerance = 1e-3;  // as for the CPU: a score of some hundreds is rounded at 1e-5
      c.once = true;
      check_on_devices(c, op);
    }
}

TEST_CASE("attention chooses its kernels by the shape") {
  const auto streams = device_streams(Precision::tf32);
  for (const Stream& stream : streams)
    for (const auto& [time, version] :
         {std::pair{50, AttentionVersion::window}, std::pair{65, AttentionVersion::tiled}}) {
      AttentionShape shape{2, time, 10, 2, 20};
      const OpCase c = device_case(shape);
      const auto chosen = step(stream, c, shape, false);
      shape.version = version;
      CHECK(step(stream, c, shape, false) == chosen);
      shape.version = AttentionVersion::window;  // falls back where it does not fit
      CHECK(step(stream, c, shape, false) == chosen);
      shape.version = AttentionVersion::simple;
      CHECK(step(stream, c, shape, false) != chosen);
    }
  close_streams(streams);
}

TEST_CASE("attention captured and replayed computes the same bits") {
  const auto streams = device_streams(Precision::bf16);
  for (const Stream& stream : streams)
    for (const auto version :
         {AttentionVersion::simple, AttentionVersion::tiled, AttentionVersion::window}) {
      AttentionShape shape{2, 33, 12, 2, 20};
      shape.version = version;
      const OpCase c = device_case(shape);
      const auto want = step(stream, c, shape, false);  // first: libraries load then
      CHECK(step(stream, c, shape, true) == want);
    }
  close_streams(streams);
}

// Rows of whole quads, of pairs, and of odd numbers that cut through quads; pieces and tiles that
// the window version leaves to the others.
TEST_CASE("attention drops out its output as dropout behind it would, in every version") {
  for (const AttentionShape& shape :
       {AttentionShape{2, 3, 5, 1, 5}, AttentionShape{1, 33, 12, 3, 50},
        AttentionShape{2, 17, 12, 2, 50}, AttentionShape{1, 64, 72, 1, 9}})
    for (const Precision precision : kPrecisions)
      check_dropout(shape, AttentionVersion::window, precision);
  for (const AttentionShape& shape :
       {AttentionShape{2, 3, 5, 1, 5}, AttentionShape{1, 66, 8, 2, 9}})
    for (const auto version : {AttentionVersion::simple, AttentionVersion::tiled})
      check_dropout(shape, version, Precision::fp32);
  check_dropout({1, 33, 12, 3, 50}, AttentionVersion::tiled, Precision::tf32);
  check_dropout({1, 9, 12, 1, 50}, AttentionVersion::window, Precision::fp32, 0.9f);
  check_dropout({1, 50, 256}, AttentionVersion::automatic, Precision::tf32);
}

TEST_CASE("attention with dropout has the bits of attention and dropout's own kernels") {
  for (const Precision precision : kPrecisions) {
    const auto streams = device_streams(precision);
    for (const Stream& stream : streams)
      for (AttentionShape shape : {AttentionShape{2, 17, 12, 1, 20}, AttentionShape{2, 9, 6, 2, 20},
                                   AttentionShape{1, 5, 7, 1, 20}})
        for (const auto version :
             {AttentionVersion::simple, AttentionVersion::tiled, AttentionVersion::window}) {
          shape.version = version;
          const OpCase c = device_case(shape);
          CHECK(dropped(stream, c, shape, 0.3f, false) == dropped(stream, c, shape, 0.3f, true));
        }
    close_streams(streams);
  }
}
