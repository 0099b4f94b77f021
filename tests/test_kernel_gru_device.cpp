// The GRU's CUDA kernels, both directions at once, in every version.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "kernels/gru_recurrence.h"
#include "tests/gru_case.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::GruVersion;
using kernels::Precision;
using kernels::Stream;

namespace {

// What the op needs beside its arguments.
struct Memory {
  Memory(const Stream& stream, const GruShape& shape)
      : saved(stream, kernels::simt::bidirectional_gru_saved(shape)),  // the same on every device
        scratch(stream, kernels::simt::bidirectional_gru_scratch(shape)) {}
  ~Memory() {
    CHECK_MESSAGE(saved.guards_intact(), "written outside of saved");
    CHECK_MESSAGE(scratch.guards_intact(), "written outside of scratch");
  }
  DeviceArray<float> saved, scratch;
};

void run_forward(const Stream& stream, const GruShape& shape, const DeviceOp::Inputs& in, float* y,
                 const Memory& memory) {
  const kernels::GruWeights weights[] = {kernel_weights(in, 1), kernel_weights(in, 1 + kWeights)};
  ON_DEVICE(stream, bidirectional_gru_forward, shape, weights, in[0], y, memory.saved.data(),
            memory.scratch.data());
}

void run_backward(const Stream& stream, const GruShape& shape, const DeviceOp::Inputs& in,
                  const float* dy, const std::vector<Gradient>& g, const Memory& memory) {
  const kernels::GruWeights weights[] = {kernel_weights(in, 1), kernel_weights(in, 1 + kWeights)};
  const kernels::GruWeightGradients gradients[] = {{g[1].data, g[2].data, g[3].data, g[4].data},
                                                   {g[5].data, g[6].data, g[7].data, g[8].data}};
  ON_DEVICE(stream, bidirectional_gru_backward, shape, weights, in[0], dy, memory.saved.data(),
            memory.scratch.data(), g[0].data, g[0].write, gradients, g[1].write);
}

const char* name(GruVersion version) {
  const char* names[] = {"automatic", "stepwise", "persistent", "mma", "cluster"};
  return names[static_cast<int>(version)];
}

OpCase device_case(const GruShape& shape) {
  OpCase c = bidirectional_case(shape);
  c.name += fmt::format(", {}", name(shape.version));
  for (size_t i = 1; i < c.inputs.size(); ++i) c.inputs[i].group = 1;  // one Write for both ways
  return c;
}

DeviceOp device_op(const GruShape& shape) {
  DeviceOp op;
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* y) {
    const Memory memory(stream, shape);
    run_forward(stream, shape, in, y, memory);
    kernels::synchronize(stream);
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float* dy,
                    const std::vector<Gradient>& g) {
    const Memory memory(stream, shape);
    const DeviceArray<float> y(stream, output_rows(shape) * 2 * shape.units);
    run_forward(stream, shape, in, y.data(), memory);
    run_backward(stream, shape, in, dy, g, memory);
    kernels::synchronize(stream);
  };
  return op;
}

void check_version(GruShape shape, GruVersion version, Precision precision = Precision::fp32,
                   bool once = false) {
  shape.version = version;
  OpCase c = device_case(shape);
  c.once = once;
  check_on_devices(c, device_op(shape), precision);
}

constexpr GruShape kSmall[] = {{1, 1, 1, 1},   {3, 7, 4, 6},  {3, 7, 4, 6, false, true},
                               {5, 4, 33, 33}, {2, 3, 5, 64}, {2, 3, 5, 64, false, true},
                               {1, 33, 1, 3},  {4, 2, 3, 32}, {3, 2, 3, 65}};

struct Run {
  GruVersion version;
  Precision precision;
};
constexpr Run kRuns[] = {
    {GruVersion::stepwise, Precision::fp32}, {GruVersion::persistent, Precision::fp32},
    {GruVersion::mma, Precision::tf32},      {GruVersion::mma, Precision::bf16},
    {GruVersion::cluster, Precision::tf32},  {GruVersion::cluster, Precision::bf16}};

double tolerance(Precision precision) {
  return precision == Precision::fp32 ? 1e-5 : precision == Precision::tf32 ? 2e-3 : 1e-2;
}

// Clusters want multiples of 16 units, and a GPU that has clusters.
bool can(const Stream& stream, GruVersion version, int64_t units) {
  return version != GruVersion::cluster || ON_DEVICE(stream, gru_cluster_fits, units);
}

// An op's arrays on one stream, gradients overwritten.
class OnStream {
 public:
  OnStream(const Stream& stream, const GruShape& shape)
      : stream_(stream), shape_(shape), memory_(stream, shape) {
    const OpCase c = device_case(shape);
    const int64_t outputs = output_rows(shape) * 2 * shape.units;
    for (const Input& input : c.inputs) add(input.value);
    in_.assign(all_.size(), nullptr);
    for (size_t i = 0; i < all_.size(); ++i) in_[i] = all_[i]->data();
    for (const Input& input : c.inputs) {
      add(Vec(input.value.size(), 7.0));
      gradients_.push_back({all_.back()->data(), Write::overwrite});
    }
    dy_ = &add(random_numbers(outputs, 99));
    y_ = &add(Vec(static_cast<size_t>(outputs), 7.0));
  }
  void without_dx() { gradients_[0].data = nullptr; }
  // Of each direction, rows of 5 units.
  Arrays saved() {
    run_forward(stream_, shape_, in_, y_->data(), memory_);
    kernels::synchronize(stream_);
    const Vec all = to_double(memory_.saved.read());
    const int64_t direction = std::ssize(all) / 2, rows = shape_.batch * shape_.time;
    Arrays both;
    for (const int64_t begin : {int64_t{0}, direction})
      both.emplace_back(all.begin() + begin, all.begin() + begin + rows * 5 * shape_.units);
    return both;
  }
  void step() {
    run_forward(stream_, shape_, in_, y_->data(), memory_);
    run_backward(stream_, shape_, in_, dy_->data(), gradients_, memory_);
  }
  // The output and all gradients, and from then on other numbers in their place.
  Arrays take() {
    kernels::synchronize(stream_);
    Arrays taken = {to_double(y_->read())};
    for (size_t i = 0; i < gradients_.size(); ++i)
      taken.push_back(to_double(all_[gradients_.size() + i]->read()));
    for (const Gradient& g : gradients_)
      if (g.data) kernels::clear(stream_, g.data, sizeof(float));
    kernels::clear(stream_, y_->data(), sizeof(float));
    return taken;
  }

 private:
  DeviceArray<float>& add(const Vec& values) {
    all_.push_back(std::make_unique<DeviceArray<float>>(stream_, to_float(values)));
    return *all_.back();
  }

  Stream stream_;
  GruShape shape_;
  Memory memory_;
  std::vector<std::unique_ptr<DeviceArray<float>>> all_;  // inputs, gradients, dy, y
  DeviceOp::Inputs in_;
  std::vector<Gradient> gradients_;
  DeviceArray<float>*dy_, *y_;
};

// What the recurrence's contract says of saved rows.
Vec expected_saved(GruShape shape, bool reverse) {
  shape.reverse = reverse;
  const OpCase c = device_case(shape);
  Arrays inputs;
  for (const Input& input : c.inputs) inputs.push_back(input.value);
  const auto f = reference::gru_forward(
      shape, reference_weights(inputs, reverse ? 1 + kWeights : 1), inputs[0]);
  Vec rows;
  const auto append = [&](const Vec& from, int64_t row, int64_t width) {
    rows.insert(rows.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
  };
  for (int64_t row = 0; row < shape.batch * shape.time; ++row) {
    append(f.gates, row, 3 * shape.units);
    append(f.candidate, row, shape.units);
    append(f.previous, row, shape.units);
  }
  return rows;
}

void check_replay(const Stream& stream, GruVersion version) {
  GruShape shape{3, 7, 4, version == GruVersion::cluster ? 48 : 33};
  if (!can(stream, version, shape.units)) return;
  shape.version = version;
  OnStream op(stream, shape);
  op.step();
  const Arrays run = op.take();
  kernels::begin_capture(stream);
  op.step();
  kernels::Graph graph = kernels::end_capture(stream);
  for (int repeat = 0; repeat < 2; ++repeat) {
    kernels::replay(stream, graph);
    const Arrays replayed = op.take();
    for (size_t i = 0; i < run.size(); ++i) CHECK(same_bits(run[i], replayed[i]));
  }
  kernels::release(stream, graph);
}

template <typename Check>
void on_devices(const Check& check_on, Precision precision = Precision::fp32) {
  const auto streams = device_streams(precision);
  for (const Stream& stream : streams) check_on(stream);
  close_streams(streams);
}

}  // namespace

TEST_CASE("the stepwise GRU on devices computes what the CPU's does") {
  for (const GruShape& shape : kSmall) check_version(shape, GruVersion::stepwise);
  check_version({2, 3, 7, 130}, GruVersion::stepwise);
  check_version({9, 5, 20, 128, false, true}, GruVersion::stepwise);
  for (const Precision precision : {Precision::tf32, Precision::bf16})
    check_version({5, 6, 33, 33}, GruVersion::stepwise, precision);
}

TEST_CASE("the GRU that keeps its weights on the chip computes what the CPU's does") {
  for (const GruShape& shape : kSmall) check_version(shape, GruVersion::persistent);
  check_version({9, 5, 20, 128}, GruVersion::persistent);
  check_version({2, 4, 3, 127, false, true}, GruVersion::persistent);
  check_version({3, 50, 100, 128}, GruVersion::persistent, Precision::fp32, true);
  for (const Precision precision : {Precision::tf32, Precision::bf16})
    check_version({5, 6, 33, 33}, GruVersion::persistent, precision);
}

TEST_CASE("the GRU on tensor cores adds its biases and sums their gradients") {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    for (const GruShape& shape : {GruShape{9, 3, 4, 33}, GruShape{3, 2, 5, 64, false, true}})
      check_version(shape, GruVersion::mma, precision);
    check_version({9, 2, 7, 128}, GruVersion::mma, precision, true);
  }
}

TEST_CASE("the GRU in clusters adds its biases and sums their gradients") {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const auto streams = device_streams(precision);
    bool everywhere = true;
    for (const Stream& stream : streams)
      everywhere = everywhere && can(stream, GruVersion::cluster, 48);
    close_streams(streams);
    if (!everywhere) continue;  // said by the tests of the recurrence
    check_version({9, 2, 4, 48}, GruVersion::cluster, precision);
    check_version({3, 2, 5, 208, false, true}, GruVersion::cluster, precision, true);
  }
}

TEST_CASE("the GRU on devices picks a version for any number of units") {
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
    for (const int64_t units : {33, 130})
      check_version({2, 3, 7, units}, GruVersion::automatic, precision, true);
}

TEST_CASE("the GRU on devices saves what its contract says, in every version") {
  for (const Run& run : kRuns)
    on_devices(
        [&](const Stream& stream) {
          for (GruShape shape : {GruShape{3, 4, 5, 33}, GruShape{3, 4, 5, 64}}) {
            if (!can(stream, run.version, shape.units)) continue;
            shape.version = run.version;
            const Arrays saved = OnStream(stream, shape).saved();
            const double near = tolerance(run.precision);
            check_close("forward", saved[0], expected_saved(shape, false), near);
            check_close("backward", saved[1], expected_saved(shape, true), near);
          }
        },
        run.precision);
}

TEST_CASE("the GRU on devices leaves out the gradient of its input where nobody asks for it") {
  on_devices([](const Stream& stream) {
    OnStream op(stream, {3, 7, 4, 6});
    op.step();
    Arrays with = op.take();
    op.without_dx();
    op.step();
    Arrays without = op.take();
    without[1] = with[1];
    for (size_t i = 0; i < with.size(); ++i) CHECK(same_bits(with[i], without[i]));
  });
}

TEST_CASE("the GRU on devices, captured and replayed, gives the bits of running it") {
  for (const Run& run : kRuns)
    on_devices([&](const Stream& s) { check_replay(s, run.version); }, run.precision);
}
