#include "bench/kernels/ceilings.h"

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

struct alignas(16) Four {
  float x[4];
};

__global__ void nothing() {}

__global__ void copy(int64_t n, const Four* x, Four* y) {
  for (int64_t i = global_thread(); i < n; i += grid_threads()) y[i] = x[i];
}

}  // namespace

void bench_nothing(const Stream& stream) { launch(stream, {"bench_nothing", {1}, {32}}, nothing); }

void bench_copy(const Stream& stream, int64_t n, const float* x, float* y) {
  launch(stream, {"bench_copy", elementwise_grid(n / 4, kThreads), {kThreads}}, copy, n / 4,
         reinterpret_cast<const Four*>(x), reinterpret_cast<Four*>(y));
}

}  // namespace etude::kernels::ETUDE_DEVICE
