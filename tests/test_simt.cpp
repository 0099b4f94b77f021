// The emulation of CUDA threads itself: what it computes, and the faults that it finds.

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "kernels/simt/simt.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;

namespace etude::kernels::simt {
namespace {

// Reverses each block's piece through shared memory; `barrier` off plants a fault.
__global__ void reverse(const float* x, float* y, bool barrier) {
  SIMT_SHARED(float, tile, [64]);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = x[blockIdx.x * 64 + threadIdx.x];
  if (barrier) __syncthreads();
  y[blockIdx.x * 64 + threadIdx.x] = tile[63 - i];
}

__global__ void multiply(const float* a, const float* b, float* c) {
  const int group = static_cast<int>(threadIdx.x) / 4, member = static_cast<int>(threadIdx.x) % 4;
  uint32_t fa[4], fb[2];
  float fc[4] = {};
  for (int i = 0; i < 4; ++i) fa[i] = to_tf32(a[(group + i % 2 * 8) * 8 + member + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) fb[i] = to_tf32(b[(member + 4 * i) * 8 + group]);
  mma_tf32(fc, fa, fb);
  for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + member * 2 + i % 2] = fc[i];
}

}  // namespace
}  // namespace etude::kernels::simt

using namespace etude::kernels;

TEST_CASE("threads meet at a barrier, and a missing one is seen") {
  const Stream stream = open_stream(Device::simt);
  std::vector<float> x(128), y(128);
  std::iota(x.begin(), x.end(), 0.0f);
  const auto run = [&](bool barrier) {
    simt::launch(stream, {"reverse", {2}, {64}}, simt::reverse, x.data(), y.data(), barrier);
    for (size_t i = 0; i < 128; ++i)
      if (y[i] != x[i / 64 * 64 + 63 - i % 64]) return false;
    return true;
  };
  for (int schedule = 0; schedule < kSchedules; ++schedule) {
    use_schedule(schedule);
    CHECK(run(true));
    CHECK_FALSE(run(false));
  }
  use_schedule(0);
  close_stream(stream);
}

TEST_CASE("the tensor core's product") {
  const Stream stream = open_stream(Device::simt);
  std::vector<float> a(128), b(64), c(128);
  std::iota(a.begin(), a.end(), -50.0f);
  std::iota(b.begin(), b.end(), -30.0f);
  simt::launch(stream, {"multiply", {1}, {32}}, simt::multiply, a.data(), b.data(), c.data());
  for (size_t i = 0; i < 16; ++i)
    for (size_t j = 0; j < 8; ++j) {
      float want = 0;
      for (size_t k = 0; k < 8; ++k) want += a[i * 8 + k] * b[k * 8 + j];
      CHECK(c[i * 8 + j] == want);
    }
  close_stream(stream);
}
