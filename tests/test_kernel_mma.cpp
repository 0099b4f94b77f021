// The tensor cores' instructions against plain loops: on a GPU, this says whether the layouts of
// their fragments are those that the emulation takes for granted.

#include <doctest/doctest.h>

#include "kernels/mma_check.h"
#include "tests/reference/device.h"
#include "tests/reference/gru_recurrence.h"

using namespace etude;
using namespace etude::tests;
using kernels::Precision;

namespace {

// c + a b, operands rounded.
Vec product(int64_t k, const Vec& a, const Vec& b, Vec c, Precision precision) {
  for (int64_t row = 0; row < 16; ++row)
    for (int64_t column = 0; column < 8; ++column)
      for (int64_t i = 0; i < k; ++i)
        c[row * 8 + column] += reference::rounded(a[row * k + i], precision) *
                               reference::rounded(b[i * 8 + column], precision);
  return c;
}

}  // namespace

TEST_CASE("the tensor cores' products are those of plain loops") {
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const int64_t k = precision == Precision::tf32 ? 8 : 16;
    const Vec a = random_numbers(16 * k, 1), b = random_numbers(k * 8, 2),
              c = random_numbers(16 * 8, 3);
    const auto streams = device_streams(precision);
    for (const kernels::Stream& stream : streams) {
      INFO("k ", k, stream.device == kernels::Device::simt ? ", simt" : ", cuda");
      const DeviceArray<float> of_a(stream, to_float(a)), of_b(stream, to_float(b)),
          of_c(stream, to_float(c));
      if (precision == Precision::tf32)
        ON_DEVICE(stream, check_mma_tf32, of_a.data(), of_b.data(), of_c.data());
      else
        ON_DEVICE(stream, check_mma_bf16, of_a.data(), of_b.data(), of_c.data());
      kernels::synchronize(stream);
      check_close("c", to_double(of_c.read()), product(k, a, b, c, precision), 1e-5);
      CHECK(of_c.guards_intact());
    }
    close_streams(streams);
  }
}
