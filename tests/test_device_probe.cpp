#include <doctest/doctest.h>

#include <cmath>

#include "kernels/probe.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::Ceilings;
using kernels::Stream;

namespace {

bool positive(double x) { return std::isfinite(x) && x > 0; }

}  // namespace

TEST_CASE("probe: what every processor reaches, and none does") {
  const Ceilings c = kernels::cpu::probe_ceilings();
  CHECK(c.copy_bytes_per_second > 1e8);
  CHECK(c.copy_bytes_per_second < 1e13);
  CHECK(c.cache_bytes_per_second > c.copy_bytes_per_second / 2);
  CHECK(c.matmul_flops_per_second > 1e8);
  CHECK(c.matmul_flops_per_second < 1e15);
  CHECK(c.launch_seconds > 1e-9);
  CHECK(c.launch_seconds < 1);
}

TEST_CASE("probe: on the devices") {
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    const Ceilings c = ON_DEVICE(stream, probe_ceilings);
    CHECK(positive(c.copy_bytes_per_second));
    CHECK(positive(c.matmul_flops_per_second));
    CHECK(positive(c.launch_seconds));
  }
  close_streams(streams);
}

TEST_CASE("probe: the longer of memory and arithmetic holds a kernel") {
  const Ceilings c = {.copy_bytes_per_second = 10, .matmul_flops_per_second = 100};
  CHECK(kernels::bound(c, 300, 20).seconds == 3);
  CHECK(!kernels::bound(c, 300, 20).by_memory);
  CHECK(kernels::bound(c, 100, 50).seconds == 5);
  CHECK(kernels::bound(c, 100, 50).by_memory);
  CHECK(kernels::bound({}, 1, 1).seconds == 0);  // nothing measured: no bound
}
