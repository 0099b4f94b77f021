#include "tests/reference/gru_recurrence.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <deque>

#include "tests/reference/device.h"
#include "tests/reference/gru.h"

namespace etude::reference {
namespace {

using kernels::Precision;

struct Functions {
  double error;
  // Off by `error` at most, by as much and as often in either direction, the same for the same x.
  double tanh(double x) const { return std::tanh(x) * (1 + error * std::sin(1000 * x)); }
  double logistic(double x) const { return 0.5 * tanh(0.5 * x) + 0.5; }
};

int64_t row_of(const RecurrenceShape& shape, int direction, int64_t b, int64_t step) {
  return b * shape.time + (direction == 1 ? shape.time - 1 - step : step);
}

// Of the direction's half in y, or -1.
int64_t output_of(const RecurrenceShape& shape, int direction, int64_t b, int64_t step) {
  if (shape.last_only && step != shape.time - 1) return -1;
  const int64_t row = shape.last_only ? b : row_of(shape, direction, b, step);
  return (row * 2 + direction) * shape.units;
}

Vec all_rounded(const Vec& x, Precision precision) {
  Vec out;
  for (const double v : x) out.push_back(rounded(v, precision));
  return out;
}

void forward(const RecurrenceShape& shape, int direction, const RecurrenceInputs& in,
             Precision precision, const Functions& f, int64_t b, RecurrenceOutputs& out) {
  const int64_t n = shape.units;
  const Vec kernel = all_rounded(in.kernel[direction], precision);
  Vec h(n);
  for (int64_t step = 0; step < shape.time; ++step) {
    const int64_t row = row_of(shape, direction, b, step),
                  to = output_of(shape, direction, b, step);
    const double* projected = &in.projected[direction][row * 3 * n];
    double* saved = &out.saved[direction][row * 5 * n];
    Vec sums = in.bias[direction];
    for (int64_t i = 0; i < n; ++i) {
      const double operand = rounded(h[i], precision);
      for (int64_t j = 0; j < 3 * n; ++j) sums[j] += operand * kernel[i * 3 * n + j];
    }
    for (int64_t k = 0; k < n; ++k) {
      const double z = f.logistic(projected[k] + sums[k]);
      const double r = f.logistic(projected[n + k] + sums[n + k]);
      const double g = f.tanh(projected[2 * n + k] + r * sums[2 * n + k]);
      saved[k] = z;
      saved[n + k] = r;
      saved[2 * n + k] = g;
      saved[3 * n + k] = sums[2 * n + k];
      saved[4 * n + k] = h[k];
      h[k] = z * h[k] + (1 - z) * g;
      if (to >= 0) out.y[to + k] = h[k];
    }
  }
}

void backward(const RecurrenceShape& shape, int direction, const RecurrenceInputs& in,
              Precision precision, int64_t b, RecurrenceOutputs& out) {
  const int64_t n = shape.units;
  const Vec kernel = all_rounded(in.kernel[direction], precision);
  Vec dh(n);
  for (int64_t step = shape.time - 1; step >= 0; --step) {
    const int64_t row = row_of(shape, direction, b, step),
                  to = output_of(shape, direction, b, step);
    const double* saved = &out.saved[direction][row * 5 * n];
    double* gradients = &out.gradients[direction][row * 4 * n];
    Vec operands(3 * n), before(n);
    for (int64_t k = 0; k < n; ++k) {
      if (to >= 0) dh[k] += in.dy[to + k];
      const double z = saved[k], r = saved[n + k], g = saved[2 * n + k];
      gradients[k] = dh[k] * (saved[4 * n + k] - g) * z * (1 - z);
      gradients[2 * n + k] = dh[k] * (1 - z) * (1 - g * g);
      gradients[n + k] = gradients[2 * n + k] * saved[3 * n + k] * r * (1 - r);
      gradients[3 * n + k] = gradients[2 * n + k] * r;
      operands[k] = rounded(gradients[k], precision);
      operands[n + k] = rounded(gradients[n + k], precision);
      operands[2 * n + k] = rounded(gradients[3 * n + k], precision);
      before[k] = dh[k] * z;
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < 3 * n; ++j) before[i] += operands[j] * kernel[i * 3 * n + j];
    dh = before;
  }
}

RecurrenceOutputs empty_outputs(const RecurrenceShape& shape) {
  const int64_t rows = shape.batch * shape.time;
  RecurrenceOutputs out;
  out.y = Vec((shape.last_only ? shape.batch : rows) * 2 * shape.units);
  for (int direction = 0; direction < 2; ++direction) {
    out.saved[direction] = Vec(rows * 5 * shape.units);
    out.gradients[direction] = Vec(rows * 4 * shape.units);
  }
  return out;
}

// Columns [first, first + count) of a row of `width`.
void copy_columns(const Vec& from, int64_t from_width, int64_t count, Vec& to, int64_t to_width,
                  int64_t from_first, int64_t to_first) {
  for (int64_t row = 0; row < std::ssize(from) / from_width; ++row)
    for (int64_t k = 0; k < count; ++k)
      to[row * to_width + to_first + k] = from[row * from_width + from_first + k];
}

}  // namespace

double rounded(double x, Precision precision) {
  if (precision == Precision::fp32) return x;
  const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  const uint32_t kept = precision == Precision::tf32
                            ? (bits + 0x1000u) & ~0x1fffu                      // ties away
                            : (bits + 0x7fffu + (bits >> 16 & 1)) & ~0xffffu;  // ties to even
  return std::bit_cast<float>(kept);
}

RecurrenceOutputs gru_recurrence(const RecurrenceShape& shape, const RecurrenceInputs& inputs,
                                 Precision precision, double tanh_error) {
  RecurrenceOutputs out = empty_outputs(shape);
  for (int direction = 0; direction < 2; ++direction)
    for (int64_t b = 0; b < shape.batch; ++b) {
      forward(shape, direction, inputs, precision, Functions{tanh_error}, b, out);
      backward(shape, direction, inputs, precision, b, out);
    }
  return out;
}

// With the identity as the kernel of the input, x is what this recurrence calls projected, and dx
// the gradients of the gates' sums.
RecurrenceOutputs gru_recurrence_exact(const RecurrenceShape& shape,
                                       const RecurrenceInputs& inputs) {
  const int64_t n = shape.units;
  RecurrenceOutputs out = empty_outputs(shape);
  Vec identity(9 * n * n);
  for (int64_t i = 0; i < 3 * n; ++i) identity[i * 3 * n + i] = 1;
  for (int direction = 0; direction < 2; ++direction) {
    const kernels::GruShape gru{shape.batch, shape.time, 3 * n, n, direction == 1, shape.last_only};
    const GruWeights weights{identity, inputs.kernel[direction], Vec(3 * n),
                             inputs.bias[direction]};
    const GruForward f = gru_forward(gru, weights, inputs.projected[direction]);
    Vec dy(f.y.size());
    copy_columns(inputs.dy, 2 * n, n, dy, n, direction * n, 0);
    copy_columns(f.y, n, n, out.y, 2 * n, 0, direction * n);
    Vec& saved = out.saved[direction];
    copy_columns(f.gates, 3 * n, 3 * n, saved, 5 * n, 0, 0);
    copy_columns(f.candidate, n, n, saved, 5 * n, 0, 3 * n);
    copy_columns(f.previous, n, n, saved, 5 * n, 0, 4 * n);
    Vec& gradients = out.gradients[direction];
    const Vec dx = gru_backward(gru, weights, inputs.projected[direction], dy).dx;
    copy_columns(dx, 3 * n, 3 * n, gradients, 4 * n, 0, 0);
    for (int64_t row = 0; row < shape.batch * shape.time; ++row)
      for (int64_t k = 0; k < n; ++k)
        gradients[row * 4 * n + 3 * n + k] =
            gradients[row * 4 * n + 2 * n + k] * saved[row * 5 * n + n + k];
  }
  return out;
}

}  // namespace etude::reference

namespace etude::tests {
namespace {

using kernels::GruRecurrence;
using kernels::Precision;
using kernels::Stream;
using reference::RecurrenceInputs;
using reference::RecurrenceOutputs;
using reference::RecurrenceShape;

// The arrays of one recurrence on a device.
class OnDevice {
 public:
  OnDevice(const Stream& stream, const RecurrenceShape& shape, const RecurrenceInputs& in)
      : stream_(stream), dy_(add(in.dy)), y_(stream, std::ssize(in.dy)) {
    r_ = {};
    r_.batch = shape.batch;
    r_.time = shape.time;
    r_.units = shape.units;
    r_.last_only = shape.last_only;
    r_.y = y_.data();
    r_.dy = dy_;
    for (int direction = 0; direction < 2; ++direction) {
      r_.projected[direction] = add(in.projected[direction]);
      r_.recurrent_kernel[direction] = add(in.kernel[direction]);
      r_.recurrent_bias[direction] = add(in.bias[direction]);
      saved_.emplace_back(stream, shape.batch * shape.time * 5 * shape.units);
      r_.saved[direction] = saved_.back().data();
    }
  }

  RecurrenceOutputs run(const RecurrenceVersion& version) {
    RecurrenceOutputs out;
    version.forward(stream_, r_);
    kernels::synchronize(stream_);
    out.y = to_double(y_.read());
    for (int i = 0; i < 2; ++i) out.saved[i] = to_double(saved_[i].read());
    version.backward(stream_, r_);
    kernels::synchronize(stream_);
    for (int i = 0; i < 2; ++i) out.gradients[i] = gradients(out.saved[i], saved_[i].read());
    CHECK(y_.guards_intact());
    for (const auto& array : saved_) CHECK(array.guards_intact());
    for (size_t i = 0; i < inputs_.size(); ++i) {
      CHECK(inputs_[i].guards_intact());
      CHECK(same_bits(to_double(inputs_[i].read()), values_[i]));
    }
    return out;
  }

 private:
  const float* add(const Vec& values) {
    values_.push_back(values);
    return inputs_.emplace_back(stream_, to_float(values)).data();
  }

  Vec gradients(const Vec& before, const std::vector<float>& after) const {
    const size_t n = static_cast<size_t>(r_.units);
    Vec out;
    for (size_t i = 0; i < after.size(); ++i)
      if (i % (5 * n) < 4 * n)
        out.push_back(after[i]);
      else if (after[i] != before[i])
        FAIL("backward changed the states");
    return out;
  }

  Stream stream_;
  std::vector<Vec> values_;
  std::deque<DeviceArray<float>> inputs_, saved_;
  const float* dy_;
  DeviceArray<float> y_;
  GruRecurrence r_{};
};

void check_near(const std::string& what, const RecurrenceOutputs& got,
                const RecurrenceOutputs& want, double tolerance) {
  check_close(what + ": y", got.y, want.y, tolerance);
  for (int i = 0; i < 2; ++i) {
    check_close(fmt::format("{}: saved {}", what, i), got.saved[i], want.saved[i], tolerance);
    check_close(fmt::format("{}: gradients {}", what, i), got.gradients[i], want.gradients[i],
                tolerance);
  }
}

bool same_bits(const RecurrenceOutputs& a, const RecurrenceOutputs& b) {
  bool same = tests::same_bits(a.y, b.y);
  for (int i = 0; i < 2; ++i)
    same = same && tests::same_bits(a.saved[i], b.saved[i]) &&
           tests::same_bits(a.gradients[i], b.gradients[i]);
  return same;
}

}  // namespace

RecurrenceInputs random_recurrence(const RecurrenceShape& shape) {
  const int64_t n = shape.units, rows = shape.batch * shape.time;
  const double scale = 1.5 / std::sqrt(static_cast<double>(n));
  RecurrenceInputs in;
  in.dy = random_numbers((shape.last_only ? shape.batch : rows) * 2 * n, 7);
  for (int direction = 0; direction < 2; ++direction) {
    const uint64_t seed = 10 * static_cast<uint64_t>(direction);
    in.projected[direction] = random_numbers(rows * 3 * n, seed + 1, -2, 2);
    in.kernel[direction] = random_numbers(n * 3 * n, seed + 2, -scale, scale);
    in.bias[direction] = random_numbers(3 * n, seed + 3, -0.5, 0.5);
  }
  return in;
}

void check_recurrence(const RecurrenceVersion& version, const RecurrenceShape& shape,
                      Precision precision, double hardware_tolerance) {
  const RecurrenceInputs in = random_recurrence(shape);
  const RecurrenceOutputs exact = reference::gru_recurrence_exact(shape, in);
  const RecurrenceOutputs rounded = reference::gru_recurrence(shape, in, precision);
  const double bar = precision == Precision::fp32   ? 1e-5
                     : precision == Precision::tf32 ? 2e-3
                                                    : 1e-2;
  const auto streams = device_streams(precision);
  for (const Stream& stream : streams) {
    INFO(version.name, " B", shape.batch, " T", shape.time, " units", shape.units,
         stream.device == kernels::Device::simt ? " simt" : " cuda", " precision ",
         static_cast<int>(precision));
    if (stream.device == kernels::Device::cuda && !version.fits(stream, shape.units)) continue;
    REQUIRE(version.fits(stream, shape.units));
    RecurrenceOutputs first;
    for (int schedule = 0; schedule < kSchedules; ++schedule) {
      INFO("schedule ", schedule);
      use_schedule(schedule);
      const RecurrenceOutputs got = OnDevice(stream, shape, in).run(version);
      if (schedule == 0) {
        first = got;
        check_near("exact", got, exact, bar);
        check_near("rounded alike", got, rounded,
                   stream.device == kernels::Device::cuda ? hardware_tolerance : 1e-4);
      }
      CHECK_MESSAGE(same_bits(got, first), "other bits");
    }
  }
  use_schedule(0);
  close_streams(streams);
}

}  // namespace etude::tests
