// The GRU's recurrence with a cluster of blocks a batch tile (kernels/gru_cluster.cu).

#include <doctest/doctest.h>

#include "tests/reference/device.h"
#include "tests/reference/gru_recurrence.h"

using namespace etude;
using namespace etude::tests;
using kernels::Precision;

namespace {

const RecurrenceVersion kVersion = {
    "gru_cluster",
    [](const kernels::Stream& stream, int64_t units) {
      return ON_DEVICE(stream, gru_cluster_fits, units);
    },
    [](const kernels::Stream& stream, const kernels::GruRecurrence& r) {
      ON_DEVICE(stream, gru_cluster_forward, r);
    },
    [](const kernels::Stream& stream, const kernels::GruRecurrence& r) {
      ON_DEVICE(stream, gru_cluster_backward, r);
    }};

// bf16 takes the hardware's tanh, whose error is 2^-11.
void check(const reference::RecurrenceShape& shape) {
  check_recurrence(kVersion, shape, Precision::tf32);
  check_recurrence(kVersion, shape, Precision::bf16, 2e-3);
}

}  // namespace

TEST_CASE("the GRU's recurrence in clusters of 2 and 4 blocks") {
  check({9, 2, 128});
  check({3, 3, 256});
}

TEST_CASE("the GRU's recurrence in clusters: units that do not fill them, and 8 and 16 blocks") {
  check({3, 1, 16});
  check({9, 2, 48, true});
  check({1, 2, 208, true});
  check({2, 2, 400});
}

TEST_CASE("the GRU's recurrence in clusters leaves other units and fp32 to others") {
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    const kernels::Stream stream = kernels::open_stream(kernels::Device::simt, precision);
    CHECK(kVersion.fits(stream, 512) == (precision != Precision::fp32));
    CHECK_FALSE(kVersion.fits(stream, 528));
    CHECK_FALSE(kVersion.fits(stream, 100));
    kernels::close_stream(stream);
  }
}
