// The output layer with its loss: on the CPU against the reference, on devices in every version.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/softmax_cross_entropy.h"
#include "kernels/vocabulary_loss.h"
#include "tests/reference/dense.h"
#include "tests/reference/device.h"
#include "tests/reference/rounded.h"
#include "tests/reference/softmax_cross_entropy.h"

using namespace etude;
using namespace etude::tests;
using kernels::Precision;
using kernels::Stream;
using kernels::VocabularyLossShape;
using Version = kernels::VocabularyLossVersion;

namespace {

// The targets of the first rows are the first class and the last.
std::vector<int32_t> targets_for(const VocabularyLossShape& s) {
  const auto classes = static_cast<int32_t>(s.classes);
  std::vector<int32_t> targets = random_ids(s.rows, 7, classes);
  targets[0] = 0;
  if (s.rows > 1) targets[1] = classes - 1;
  return targets;
}

Vec reference_loss(const VocabularyLossShape& s, const Vec& x, const Vec& w, const Vec& b) {
  const Vec logits = reference::dense_forward({s.rows, s.in, s.classes}, x, w, b);
  return reference::softmax_cross_entropy_forward({s.rows, s.classes}, logits, targets_for(s)).loss;
}

Arrays reference_gradients(const VocabularyLossShape& s, const Arrays& in, const Vec& dloss) {
  const kernels::DenseShape dense{s.rows, s.in, s.classes};
  const Vec logits = reference::dense_forward(dense, in[0], in[1], in[2]);
  const Vec dlogits =
      reference::softmax_cross_entropy_backward({s.rows, s.classes}, logits, targets_for(s), dloss);
  const auto g = reference::dense_backward(dense, in[0], in[1], dlogits);
  return {g.dx, g.dw, g.db};
}

kernels::DenseGradients gradients_of(const std::vector<Gradient>& g) {
  return {g[0].data, g[0].write, g[1].data, g[1].write, g[2].data, g[2].write};
}

OpCase loss_case(const VocabularyLossShape& s, double size = 1) {
  OpCase c;
  c.name = fmt::format("vocabulary loss {} rows, {} to {}", s.rows, s.in, s.classes);
  const double floor = s.classes == 1 ? 1 : 1e-3;  // the one probability is 1: p - 1 is rounding
  c.inputs = {{"x", random_numbers(s.rows * s.in, 1, -size, size), 0, floor},
              {"w", random_numbers(s.in * s.classes, 2, -size, size), 1, floor},
              {"b", random_numbers(s.classes, 3), 2, floor}};
  c.output = {1, s.rows};
  c.dy = Vec(s.rows, 1.0);
  c.reference_forward = [=](const Arrays& in) { return reference_loss(s, in[0], in[1], in[2]); };
  c.reference_backward = [=](const Arrays& in, const Vec& dloss) {
    return reference_gradients(s, in, dloss);
  };
  const auto forward = [=](const std::vector<const float*>& in, float* loss, Guarded& saved) {
    kernels::cpu::vocabulary_loss_forward(s, in[0], in[1], in[2], targets_for(s).data(), loss,
                                          saved.data(), nullptr);
    CHECK_MESSAGE(saved.guards_intact(), "written outside what is saved");
  };
  c.forward = [=](const std::vector<const float*>& in, float* loss) {
    Guarded saved(kernels::cpu::vocabulary_loss_saved(s));
    forward(in, loss, saved);
  };
  c.backward = [=](const std::vector<const float*>& in, const float*,
                   const std::vector<Gradient>& g) {
    Guarded loss(s.rows), saved(kernels::cpu::vocabulary_loss_saved(s));
    forward(in, loss.data(), saved);
    Guarded scratch(kernels::cpu::vocabulary_loss_scratch(s));
    kernels::cpu::vocabulary_loss_backward(s, in[0], in[1], in[2], targets_for(s).data(),
                                           saved.data(), scratch.data(), gradients_of(g));
    CHECK_MESSAGE(saved.guards_intact(), "written outside what is saved");
    CHECK_MESSAGE(scratch.guards_intact(), "written outside the scratch");
  };
  c.dx_may_be_null = true;
  return c;
}

// Both depend on the device.
int64_t saved_of(const Stream& stream, const VocabularyLossShape& s) {
#if ETUDE_CUDA
  if (stream.device == kernels::Device::cuda) return kernels::cuda::vocabulary_loss_saved(s);
#endif
  static_cast<void>(stream);
  return kernels::simt::vocabulary_loss_saved(s);
}
int64_t scratch_of(const Stream& stream, const VocabularyLossShape& s) {
#if ETUDE_CUDA
  if (stream.device == kernels::Device::cuda) return kernels::cuda::vocabulary_loss_scratch(s);
#endif
  static_cast<void>(stream);
  return kernels::simt::vocabulary_loss_scratch(s);
}

// What lies on the device beside the layer's own arrays.
struct Beside {
  DeviceArray<int32_t> targets;
  DeviceArray<float> loss, saved, scratch;
  Beside(const Stream& stream, const VocabularyLossShape& s)
      : targets(stream, targets_for(s)),
        loss(stream, s.rows),
        saved(stream, saved_of(stream, s)),
        scratch(stream, scratch_of(stream, s)) {}
  void check_guards() const {
    CHECK_MESSAGE(targets.guards_intact(), "written outside the targets");
    CHECK_MESSAGE(loss.guards_intact(), "written outside the loss");
    CHECK_MESSAGE(saved.guards_intact(), "written outside what is saved");
    CHECK_MESSAGE(scratch.guards_intact(), "written outside the scratch");
  }
};

void forward_on(const Stream& stream, const VocabularyLossShape& s, const DeviceOp::Inputs& in,
                const Beside& beside, float* loss) {
  ON_DEVICE(stream, vocabulary_loss_forward, s, in[0], in[1], in[2], beside.targets.data(), loss,
            beside.saved.data(), beside.scratch.data());
  beside.check_guards();
}

void backward_on(const Stream& stream, const VocabularyLossShape& s, const DeviceOp::Inputs& in,
                 const Beside& beside, const kernels::DenseGradients& gradients) {
  ON_DEVICE(stream, vocabulary_loss_backward, s, in[0], in[1], in[2], beside.targets.data(),
            beside.saved.data(), beside.scratch.data(), gradients);
  beside.check_guards();
}

DeviceOp device_op(const VocabularyLossShape& s, Precision precision) {
  DeviceOp op;
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* loss) {
    forward_on(stream, s, in, Beside(stream, s), loss);
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float*,
                    const std::vector<Gradient>& g) {
    const Beside beside(stream, s);
    forward_on(stream, s, in, beside, beside.loss.data());
    backward_on(stream, s, in, beside, gradients_of(g));
  };
  if (s.version == Version::recompute)  // the products of `separate` are cuBLAS's affair
    op.rounded_forward = [=](const Arrays& in) {
      return reference_loss(s, reference::rounded(in[0], precision),
                            reference::rounded(in[1], precision), in[2]);
    };
  return op;
}

void check_version(VocabularyLossShape s, Version version, Precision precision) {
  s.version = version;
  INFO("version ", static_cast<int>(version));
  check_on_devices(loss_case(s), device_op(s, precision), precision);
}

struct Results {
  std::vector<float> loss, dx, dw, db;
  explicit Results(const VocabularyLossShape& s)
      : loss(s.rows), dx(s.rows * s.in), dw(s.in * s.classes), db(s.classes) {}
  kernels::DenseGradients gradients() {
    return {dx.data(), Write::overwrite, dw.data(), Write::overwrite, db.data(), Write::overwrite};
  }
};

const VocabularyLossShape kOdd[] = {{1, 1, 1},    {1, 33, 7},  {3, 1, 130},  {3, 64, 130},
                                    {33, 33, 97}, {33, 64, 7}, {5, 100, 130}};

}  // namespace

TEST_CASE("the output layer with its loss meets its reference") {
  for (VocabularyLossShape s : kOdd) {
    OpCase c = loss_case(s);
    c.bits_of_threads = true;
    check(c);
    s.version = Version::separate;
    check(loss_case(s));
  }
  OpCase large = loss_case({96, 64, 1001});
  large.probes = 1;
  check(large);
}

TEST_CASE("the output layer with its loss, apart, has the bits of the two ops that it is made of") {
  const VocabularyLossShape s{33, 64, 700, Version::separate};
  const OpCase c = loss_case(s);
  const std::vector<float> x = to_float(c.inputs[0].value), w = to_float(c.inputs[1].value),
                           b = to_float(c.inputs[2].value);
  const std::vector<int32_t> targets = targets_for(s);
  Results fused(s), apart(s);
  std::vector<float> saved(kernels::cpu::vocabulary_loss_saved(s));
  kernels::cpu::vocabulary_loss_forward(s, x.data(), w.data(), b.data(), targets.data(),
                                        fused.loss.data(), saved.data(), nullptr);
  kernels::cpu::vocabulary_loss_backward(s, x.data(), w.data(), b.data(), targets.data(),
                                         saved.data(), nullptr, fused.gradients());
  const kernels::DenseShape dense{s.rows, s.in, s.classes};
  const kernels::CrossEntropyShape entropy{s.rows, s.classes};
  std::vector<float> lse(s.rows), logits(s.rows * s.classes);
  kernels::cpu::dense_forward(dense, x.data(), w.data(), b.data(), logits.data());
  kernels::cpu::softmax_cross_entropy_forward(entropy, logits.data(), targets.data(),
                                              apart.loss.data(), lse.data());
  kernels::cpu::softmax_cross_entropy_backward(entropy, 1.0f, logits.data(), targets.data(),
                                               lse.data(), logits.data(), Write::overwrite);
  kernels::cpu::dense_backward(dense, x.data(), w.data(), logits.data(), apart.gradients());
  CHECK(fused.loss == apart.loss);
  CHECK(fused.dx == apart.dx);
  CHECK(fused.dw == apart.dw);
  CHECK(fused.db == apart.db);
}

TEST_CASE("on devices the output layer with its loss meets its reference, through memory") {
  for (const VocabularyLossShape& s : kOdd) check_version(s, Version::separate, Precision::fp32);
  check_version({33, 64, 130}, Version::separate, Precision::tf32);
  check_version({33, 64, 130}, Version::separate, Precision::bf16);
}

TEST_CASE("on devices the output layer with its loss meets its reference, recomputing the logits") {
  for (const VocabularyLossShape& s : kOdd)
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
      check_version(s, Version::recompute, precision);
}

// A tile is 96 rows, 96 classes, 64 of `in`.
TEST_CASE("the recomputing version with several tiles each way") {
  check_version({100, 70, 200}, Version::recompute, Precision::fp32);
  check_version({97, 3, 97}, Version::recompute, Precision::tf32);
  check_version({97, 130, 7}, Version::recompute, Precision::bf16);
}

TEST_CASE("the recomputing version with several tiles of classes a block") {
  VocabularyLossShape s{3, 4, 500};  // 6 tiles
  for (s.blocks = 1; s.blocks < 5; ++s.blocks)
    check_version(s, Version::recompute, Precision::tf32);
  s = {97, 4, 290};
  s.blocks = 2;
  check_version(s, Version::recompute, Precision::tf32);
  s = {2, 65, 290};
  s.blocks = 1;
  check_version(s, Version::recompute, Precision::bf16);
  s = {97, 65, 200};
  s.blocks = 1;
  check_version(s, Version::recompute, Precision::fp32);
}

TEST_CASE("the recomputing version near the paper's size") {
  const VocabularyLossShape s{96, 64, 2999, Version::recompute};
  OpCase c = loss_case(s);
  c.once = true;
  check_on_devices(c, device_op(s, Precision::tf32), Precision::tf32);
}

TEST_CASE("logits of 100 and -100 are no trouble to the recomputing version") {
  const VocabularyLossShape s{33, 64, 200, Version::recompute};
  DeviceOp op = device_op(s, Precision::fp32);
  op.fp32_tolerance = 1e-4;  // logits of 100, rounded at 1e-5, which is a probability's error
  check_on_devices(loss_case(s, 3.5), op);
}

namespace {

// All arrays of a call on one device, made from a case's inputs.
struct OnDevice {
  DeviceArray<float> x, w, b, dx, dw, db;
  Beside beside;
  OnDevice(const Stream& stream, const VocabularyLossShape& s, const Arrays& in)
      : x(stream, to_float(in[0])),
        w(stream, to_float(in[1])),
        b(stream, to_float(in[2])),
        dx(stream, std::ssize(in[0])),
        dw(stream, std::ssize(in[1])),
        db(stream, std::ssize(in[2])),
        beside(stream, s) {}
  void run(const Stream& stream, const VocabularyLossShape& s, bool with_dx = true) const {
    const DeviceOp::Inputs in = {x.data(), w.data(), b.data()};
    const kernels::DenseGradients gradients{with_dx ? dx.data() : nullptr,
                                            Write::overwrite,
                                            dw.data(),
                                            Write::overwrite,
                                            db.data(),
                                            Write::overwrite};
    forward_on(stream, s, in, beside, beside.loss.data());
    backward_on(stream, s, in, beside, gradients);
  }
};

Arrays inputs_of(const VocabularyLossShape& s) {
  Arrays out;
  for (const Input& input : loss_case(s).inputs) out.push_back(input.value);
  return out;
}

}  // namespace

TEST_CASE("on devices the input's gradient is left out where nobody asks for it") {
  for (const Version version : {Version::separate, Version::recompute}) {
    const VocabularyLossShape s{33, 20, 130, version};
    const auto streams = device_streams(Precision::tf32);
    for (const Stream& stream : streams) {
      const OnDevice with(stream, s, inputs_of(s)), without(stream, s, inputs_of(s));
      with.run(stream, s);
      without.run(stream, s, false);
      CHECK(with.dw.read() == without.dw.read());
      CHECK(with.db.read() == without.db.read());
      for (const float untouched : without.dx.read()) CHECK(std::isnan(untouched));
    }
    close_streams(streams);
  }
}

TEST_CASE("on devices a row with a NaN has a loss of NaN, and the others have not") {
  for (const Version version : {Version::separate, Version::recompute}) {
    const VocabularyLossShape s{3, 20, 130, version};
    const auto streams = device_streams(Precision::tf32);
    for (const Stream& stream : streams) {
      Arrays inputs = inputs_of(s);
      inputs[0][20 + 7] = NAN;
      const OnDevice arrays(stream, s, inputs);
      arrays.run(stream, s);
      const std::vector<float> loss = arrays.beside.loss.read(), dx = arrays.dx.read();
      for (size_t row = 0; row < 3; ++row) {
        CHECK(std::isnan(loss[row]) == (row == 1));
        CHECK(std::isnan(dx[row * 20]) == (row == 1));
      }
      CHECK(std::isnan(arrays.dw.read()[7 * 130]));
    }
    close_streams(streams);
  }
}

TEST_CASE("a captured output layer with its loss follows what lies in the device's memory") {
  for (const Version version : {Version::separate, Version::recompute}) {
    const VocabularyLossShape s{5, 20, 130, version};
    const auto streams = device_streams(Precision::fp32);
    for (const Stream& stream : streams) {
      Arrays inputs = inputs_of(s);
      const OnDevice arrays(stream, s, inputs);
      arrays.run(stream, s);  // cuBLAS is found and opened outside of a capture
      kernels::begin_capture(stream);
      const DeviceOp::Inputs in = {arrays.x.data(), arrays.w.data(), arrays.b.data()};
      const kernels::DenseGradients gradients{arrays.dx.data(), Write::overwrite, arrays.dw.data(),
                                              Write::overwrite, arrays.db.data(), Write::overwrite};
      ON_DEVICE(stream, vocabulary_loss_forward, s, in[0], in[1], in[2],
                arrays.beside.targets.data(), arrays.beside.loss.data(), arrays.beside.saved.data(),
                arrays.beside.scratch.data());
      ON_DEVICE(stream, vocabulary_loss_backward, s, in[0], in[1], in[2],
                arrays.beside.targets.data(), arrays.beside.saved.data(),
                arrays.beside.scratch.data(), gradients);
      kernels::Graph graph = kernels::end_capture(stream);
      for (const uint64_t seed : {11, 12}) {
        inputs[0] = random_numbers(s.rows * s.in, seed);
        const std::vector<float> x = to_float(inputs[0]);
        kernels::copy_to_device(stream, arrays.x.data(), x.data(),
                                std::ssize(x) * static_cast<int64_t>(sizeof(float)));
        kernels::replay(stream, graph);
        kernels::synchronize(stream);
        check_close("loss, replayed", to_double(arrays.beside.loss.read()),
                    reference_loss(s, inputs[0], inputs[1], inputs[2]), 1e-5);
        const Arrays want = reference_gradients(s, inputs, Vec(s.rows, 1.0));
        check_close("dx, replayed", to_double(arrays.dx.read()), want[0], 1e-5);
        check_close("dw, replayed", to_double(arrays.dw.read()), want[1], 1e-5);
        check_close("db, replayed", to_double(arrays.db.read()), want[2], 1e-5);
      }
      kernels::release(stream, graph);
    }
    close_streams(streams);
  }
}

TEST_CASE("a device keeps no logits for backward where it can make them again") {
  const VocabularyLossShape s{96, 64, 36011};
  CHECK(kernels::simt::vocabulary_loss_saved(s) == 96);
  CHECK(kernels::simt::vocabulary_loss_scratch(s) < 96 * 36011 / 4);
}
