#include "tests/reference/device.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>

#include "kernels/simt/scheduler.h"
#include "tests/places.h"

namespace etude::tests {
namespace {

using kernels::Device;
using kernels::Precision;
using kernels::Stream;

constexpr int64_t kGuard = 256;        // bytes on either side; keeps the alignment
constexpr unsigned char kFill = 0xff;  // a NaN

const char* name(Device device) { return device == Device::cuda ? "cuda" : "simt"; }
const char* name(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

Vec spread(const Layout& layout, const Vec& numbers, int64_t stride, double gap) {
  Vec out(static_cast<size_t>((layout.rows - 1) * stride + layout.width), gap);
  for (int64_t i = 0; i < std::ssize(numbers); ++i)
    out[static_cast<size_t>(i / layout.width * stride + i % layout.width)] =
        numbers[static_cast<size_t>(i)];
  return out;
}

// One run of an op on one device.
class Run {
 public:
  Run(const OpCase& c, const DeviceOp& op, const Stream& stream)
      : case_(c),
        op_(op),
        stream_(stream),
        stride_(c.output.stride ? c.output.stride : c.output.width) {
    for (const Input& input : c.inputs) {
      arrays_.emplace_back(stream, to_float(input.value));
      pointers_.push_back(arrays_.back().data());
    }
  }

  Vec forward() {
    const Layout& layout = case_.output;
    DeviceArray<float> y(stream_, (layout.rows - 1) * stride_ + layout.width);
    op_.forward(stream_, pointers_, y.data());
    kernels::synchronize(stream_);
    CHECK_MESSAGE(y.guards_intact(), "written outside y");
    const std::vector<float> all = y.read();
    Vec out;
    for (int64_t row = 0; row < layout.rows; ++row)
      for (int64_t i = 0; i < stride_ && row * stride_ + i < std::ssize(all); ++i) {
        const float value = all[static_cast<size_t>(row * stride_ + i)];
        if (i < layout.width)
          out.push_back(value);
        else
          CHECK_MESSAGE(std::isnan(value), "written between the rows of y");
      }
    check_inputs();
    return out;
  }

  Arrays backward(const Vec& dy, const std::vector<Write>& writes, const Arrays& base) {
    const DeviceArray<float> device_dy(stream_,
                                       to_float(spread(case_.output, dy, stride_, std::nan(""))));
    std::deque<DeviceArray<float>> arrays;
    std::vector<Gradient> gradients;
    for (size_t i = 0; i < case_.inputs.size(); ++i) {
      if (writes[i] == Write::add)
        arrays.emplace_back(stream_, to_float(base[i]));
      else
        arrays.emplace_back(stream_, std::ssize(case_.inputs[i].value));
      gradients.push_back({arrays.back().data(), writes[i]});
    }
    op_.backward(stream_, pointers_, device_dy.data(), gradients);
    kernels::synchronize(stream_);
    Arrays out;
    for (size_t i = 0; i < arrays.size(); ++i) {
      CHECK_MESSAGE(arrays[i].guards_intact(), "written outside the gradient of ",
                    case_.inputs[i].name);
      out.push_back(to_double(arrays[i].read()));
    }
    CHECK_MESSAGE(device_dy.guards_intact(), "written outside dy");
    check_inputs();
    return out;
  }

 private:
  void check_inputs() const {
    for (size_t i = 0; i < arrays_.size(); ++i) {
      INFO("input ", case_.inputs[i].name);
      CHECK(arrays_[i].guards_intact());
      CHECK(same_bits(to_double(arrays_[i].read()), case_.inputs[i].value));
    }
  }

  const OpCase& case_;
  const DeviceOp& op_;
  Stream stream_;
  int64_t stride_;
  std::deque<DeviceArray<float>> arrays_;
  std::vector<const float*> pointers_;
};

// What the results are measured against.
struct Wanted {
  Vec y, dy, rounded_y;
  Arrays gradients;
  Vec cpu_y;
  Arrays cpu_gradients;
};

Wanted wanted(const OpCase& c, const DeviceOp& op, Precision precision) {
  Arrays inputs;
  for (const Input& input : c.inputs) inputs.push_back(input.value);
  Wanted w;
  w.y = c.reference_forward(inputs);
  w.dy = c.dy.empty() ? random_numbers(std::ssize(w.y), 99) : c.dy;
  w.gradients = c.reference_backward(inputs, w.dy);
  if (op.rounded_forward) w.rounded_y = op.rounded_forward(inputs);
  if (precision != Precision::fp32 || !c.forward) return w;
  std::tie(w.cpu_y, w.cpu_gradients) = run_on_cpu(c, w.dy);
  return w;
}

void check_results(const OpCase& c, const DeviceOp& op, const Stream& stream, const Wanted& w,
                   const Vec& y, const Arrays& gradients) {
  const Precision precision = stream.precision;
  const double tolerance = precision == Precision::fp32   ? op.fp32_tolerance
                           : precision == Precision::tf32 ? op.tf32_tolerance
                                                          : op.bf16_tolerance;
  check_close(c.name + ": y", y, w.y, tolerance);
  if (!w.cpu_y.empty()) check_close(c.name + ": y and the CPU's", y, w.cpu_y, op.fp32_tolerance);
  if (!w.rounded_y.empty() && precision != Precision::fp32 &&
      !(op.cublas_rounds && stream.device == Device::cuda))
    check_close(c.name + ": y and the rounded reference's", y, w.rounded_y, op.rounded_tolerance);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const std::string what = c.name + ": d" + c.inputs[i].name;
    check_close(what, gradients[i], w.gradients[i], tolerance, c.inputs[i].floor);
    if (!w.cpu_gradients.empty())
      check_close(what + " and the CPU's", gradients[i], w.cpu_gradients[i], op.fp32_tolerance,
                  c.inputs[i].floor);
  }
}

// Each group of gradients added to known numbers, beside the others overwritten; and all added.
void check_adding(const OpCase& c, Run& run, const Vec& dy, const Arrays& alone) {
  for (int group = -1; group <= c.inputs.back().group; ++group) {
    std::vector<Write> writes;
    Arrays base, sum = alone;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      const bool add = group < 0 || c.inputs[i].group == group;
      writes.push_back(add ? Write::add : Write::overwrite);
      double largest = 1e-3;
      for (const double v : alone[i]) largest = std::max(largest, std::abs(v));
      base.push_back(random_numbers(std::ssize(alone[i]), 1000 + i, -largest, largest));
      for (size_t k = 0; k < alone[i].size() && add; ++k) sum[i][k] += base[i][k];
    }
    const Arrays got = run.backward(dy, writes, base);
    for (size_t i = 0; i < got.size(); ++i)
      check_close("d" + c.inputs[i].name + (writes[i] == Write::add ? ", added" : ", beside"),
                  got[i], sum[i], 1e-6, c.inputs[i].floor);
    if (c.inputs.back().group == 0) return;
  }
}

}  // namespace

void use_schedule(int number) {
  using emulator::Schedule;
  const auto order = number == 0   ? Schedule::ascending
                     : number == 1 ? Schedule::descending
                                   : Schedule::shuffled;
  emulator::set_schedule({order, static_cast<uint64_t>(number)});
}

std::vector<Stream> device_streams(Precision precision) {
  const std::string devices = devices_under_test();
  if (devices == "cuda") return {kernels::open_stream(Device::cuda, precision)};
  std::vector<Stream> streams = {kernels::open_stream(Device::simt, precision)};
  if (devices == "simt") return streams;
  REQUIRE_MESSAGE(devices == "all", "ETUDE_TEST_DEVICES is cuda, simt or all");
  try {
    streams.push_back(kernels::open_stream(Device::cuda, precision));
  } catch (const kernels::DeviceError& reason) {
    static bool told = false;
    if (!std::exchange(told, true)) std::printf("skipped on a GPU: %s\n", reason.what());
  }
  return streams;
}

void run_or_replay(const Stream& stream, bool captured, const std::function<void()>& work) {
  if (captured) {
    kernels::begin_capture(stream);
    work();
    kernels::Graph graph = kernels::end_capture(stream);
    for (int replays = 0; replays < 2; ++replays) kernels::replay(stream, graph);
    kernels::synchronize(stream);
    kernels::release(stream, graph);
  } else {
    work();
    kernels::synchronize(stream);
  }
}

void close_streams(const std::vector<Stream>& streams) {
  for (const Stream& stream : streams) kernels::close_stream(stream);
}

void check_on_devices(const OpCase& c, const DeviceOp& op, Precision precision) {
  const Wanted w = wanted(c, op, precision);
  const std::vector<Write> overwrite(c.inputs.size(), Write::overwrite);
  const auto streams = device_streams(precision);
  for (const Stream& stream : streams) {
    INFO(c.name, ", ", name(precision), " on ", name(stream.device));
    Vec y;
    Arrays gradients;
    for (int schedule = 0; schedule < kSchedules; ++schedule) {
      INFO("schedule ", schedule);
      use_schedule(schedule);
      Run run(c, op, stream);
      const Vec again = run.forward();
      const Arrays gradients_again = run.backward(w.dy, overwrite, {});
      if (schedule == 0) {
        y = again;
        gradients = gradients_again;
        check_results(c, op, stream, w, y, gradients);
        if (!c.once) check_adding(c, run, w.dy, gradients);
        continue;
      }
      CHECK_MESSAGE(same_bits(again, y), "y has other bits");
      for (size_t i = 0; i < gradients.size(); ++i)
        CHECK_MESSAGE(same_bits(gradients_again[i], gradients[i]), "d", c.inputs[i].name,
                      " has other bits");
    }
  }
  use_schedule(0);
  close_streams(streams);
}

DeviceBytes::DeviceBytes(const Stream& stream, const void* from, int64_t bytes)
    : stream_(stream), bytes_(bytes), memory_(kernels::allocate(stream, bytes + 2 * kGuard)) {
  std::vector<unsigned char> all(static_cast<size_t>(bytes + 2 * kGuard), kFill);
  if (from && bytes) std::memcpy(all.data() + kGuard, from, static_cast<size_t>(bytes));
  kernels::copy_to_device(stream, memory_, all.data(), std::ssize(all));
  kernels::synchronize(stream);
}

DeviceBytes::~DeviceBytes() { kernels::release(stream_, memory_); }

void* DeviceBytes::data() const { return static_cast<char*>(memory_) + kGuard; }

void DeviceBytes::read(void* to) const {
  if (bytes_) kernels::copy_to_host(stream_, to, data(), bytes_);
}

bool DeviceBytes::guards_intact() const {
  unsigned char guards[2 * kGuard];
  kernels::copy_to_host(stream_, guards, memory_, kGuard);
  kernels::copy_to_host(stream_, guards + kGuard, static_cast<char*>(data()) + bytes_, kGuard);
  return std::all_of(guards, guards + 2 * kGuard, [](unsigned char b) { return b == kFill; });
}

}  // namespace etude::tests
