// The GRU's recurrence on tensor cores, one block a batch tile (kernels/gru_mma.cu).

#include <doctest/doctest.h>

#include <cmath>

#include "tests/reference/device.h"
#include "tests/reference/gru_recurrence.h"

using namespace etude;
using namespace etude::tests;
using kernels::Precision;

namespace {

const RecurrenceVersion kVersion = {
    "gru_mma",
    [](const kernels::Stream& stream, int64_t units) {
      return ON_DEVICE(stream, gru_mma_fits, units);
    },
    [](const kernels::Stream& stream, const kernels::GruRecurrence& r) {
      ON_DEVICE(stream, gru_mma_forward, r);
    },
    [](const kernels::Stream& stream, const kernels::GruRecurrence& r) {
      ON_DEVICE(stream, gru_mma_backward, r);
    }};

// bf16 takes the hardware's tanh, whose error is 2^-11.
void check(const reference::RecurrenceShape& shape) {
  check_recurrence(kVersion, shape, Precision::tf32);
  check_recurrence(kVersion, shape, Precision::bf16, 2e-3);
}

// Of the whole array, relative to what is wanted.
double norm_error(const Vec& got, const Vec& want) {
  double error = 0, all = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    all += want[i] * want[i];
  }
  return std::sqrt(error / all);
}

}  // namespace

TEST_CASE("the rounded recurrence, when nothing is rounded, is the reference's GRU") {
  for (const bool last_only : {false, true}) {
    const reference::RecurrenceShape shape{3, 5, 7, last_only};
    const auto in = random_recurrence(shape);
    const auto exact = reference::gru_recurrence_exact(shape, in);
    const auto got = reference::gru_recurrence(shape, in, Precision::fp32);
    check_close("y", got.y, exact.y, 1e-12);
    for (int i = 0; i < 2; ++i) {
      check_close("saved", got.saved[i], exact.saved[i], 1e-12);
      check_close("gradients", got.gradients[i], exact.gradients[i], 1e-12);
    }
  }
}

// The emulation's tanh is exact, the hardware's (tanh.approx) is off by 2^-11 of itself.
TEST_CASE("the hardware's tanh: within bf16's bar after 50 steps, worse than tf32's rounding") {
  const reference::RecurrenceShape shape{2, 50, 128};
  const auto in = random_recurrence(shape);
  const auto exact = reference::gru_recurrence_exact(shape, in);
  const auto tf32 = reference::gru_recurrence(shape, in, Precision::tf32);
  const auto hardware_tf32 = reference::gru_recurrence(shape, in, Precision::tf32, 0x1p-11);
  const auto hardware_bf16 = reference::gru_recurrence(shape, in, Precision::bf16, 0x1p-11);
  for (int i = 0; i < 2; ++i) {
    check_close("tf32", tf32.gradients[i], exact.gradients[i], 5e-4);
    check_close("bf16", hardware_bf16.gradients[i], exact.gradients[i], 1e-2);
    CHECK(norm_error(hardware_tf32.gradients[i], exact.gradients[i]) >
          2 * norm_error(tf32.gradients[i], exact.gradients[i]));
  }
  check_close("tf32: y", tf32.y, exact.y, 5e-4);
  check_close("bf16: y", hardware_bf16.y, exact.y, 1e-2);
  CHECK(norm_error(hardware_tf32.y, exact.y) > 2 * norm_error(tf32.y, exact.y));
}

TEST_CASE("the GRU's recurrence on tensor cores: tails of every tile") {
  bool last_only = false;
  for (const int64_t units : {1, 3, 16, 32, 33, 48, 64, 100})
    check({units % 2 ? 9 : 3, units % 3 + 1, units, last_only = !last_only});
}

TEST_CASE("the GRU's recurrence on tensor cores: the paper's units") {
  check({9, 4, 128});
  check({8, 5, 128, true});
}

TEST_CASE("the GRU's recurrence on tensor cores leaves fp32 and more units to others") {
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    const auto streams = device_streams(precision);
    for (const kernels::Stream& stream : streams) {
      CHECK(kVersion.fits(stream, 128) == (precision != Precision::fp32));
      CHECK_FALSE(kVersion.fits(stream, 129));
    }
    close_streams(streams);
  }
}
