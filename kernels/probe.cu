// Ceilings: nothing but a copy, and nothing at all. Floor at 3 TB/s: 512 MiB in 179 us. Measured:
// not yet, no GPU was at hand.
//
// The host's clock is exact enough: a repetition is milliseconds, a launch and a wait some
// microseconds.

#include "kernels/probe.h"

#include "kernels/device.h"
#include "kernels/matmul.h"
#include "kernels/probe_timing.h"
#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t copy, matmul;  // floats; rows and columns
  int rounds;
};
Sizes sizes_on(const Stream& stream) {
  if (stream.device == Device::cuda) return {int64_t{64} << 20, 8192, 20};
  return {4096, 64, 2};
}

__global__ void nothing() {}

__global__ void copy(int64_t quads, const float* x, float* y) {
  for (int64_t i = global_thread(); i < quads; i += grid_threads())
    store_quad(y + 4 * i, load_quad(x + 4 * i, 4, true), 4, true);
}

// Uniform in [-0.5, 0.5): a product of zeros takes less power, and so the clock is higher.
__global__ void scatter(int64_t n, float* x) {
  for (int64_t i = global_thread(); i < n; i += grid_threads())
    x[i] = static_cast<float>(static_cast<uint32_t>(i) * 2654435761u >> 8) * 0x1p-24f - 0.5f;
}

class Floats {
 public:
  Floats(const Stream& stream, int64_t count)
      : stream_(stream),
        memory_(kernels::allocate(stream, count * static_cast<int64_t>(sizeof(float)))) {
    launch(stream, {"probe_scatter", elementwise_grid(count, kThreads), {kThreads}}, scatter, count,
           get());
  }
  ~Floats() { kernels::release(stream_, memory_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* get() const { return static_cast<float*>(memory_); }

 private:
  Stream stream_;
  void* memory_;
};

// Of one call out of `rounds` that follow one another in the stream.
template <typename Call>
double seconds_a_call(const Stream& stream, int rounds, const Call& call) {
  return best_seconds(0.1,
                      [&] {
                        for (int round = 0; round < rounds; ++round) call();
                        kernels::synchronize(stream);
                      }) /
         rounds;
}

double copy_rate(const Stream& stream, const Sizes& sizes) {
  const Floats x(stream, sizes.copy), y(stream, sizes.copy);
  const Launch shape = {"probe_copy", elementwise_grid(sizes.copy / 4, kThreads), {kThreads}};
  const double seconds = seconds_a_call(stream, sizes.rounds, [&] {
    launch(stream, shape, copy, sizes.copy / 4, static_cast<const float*>(x.get()), y.get());
  });
  return 2.0 * sizeof(float) * static_cast<double>(sizes.copy) / seconds;
}

double matmul_rate(const Stream& stream, const Sizes& sizes) {
  const int64_t n = sizes.matmul;
  const Floats a(stream, n * n), b(stream, n * n), c(stream, n * n);
  const double seconds = seconds_a_call(stream, 2, [&] {
    matmul(stream, n, n, n, {a.get(), n}, {b.get(), n}, c.get(), n, Write::overwrite);
  });
  const double size = static_cast<double>(n);
  return 2 * size * size * size / seconds;
}

double launch_seconds(const Stream& stream, const Sizes& sizes) {
  constexpr int nodes = 100;
  kernels::begin_capture(stream);
  try {
    for (int node = 0; node < nodes; ++node) launch(stream, {"probe_nothing", {1}, {32}}, nothing);
  } catch (...) {
    kernels::abandon_capture(stream);
    throw;
  }
  Graph graph = kernels::end_capture(stream);
  const double seconds =
      seconds_a_call(stream, sizes.rounds, [&] { kernels::replay(stream, graph); });
  kernels::release(stream, graph);
  return seconds / nodes;
}

}  // namespace

Ceilings probe_ceilings(const Stream& stream) {
  const Sizes sizes = sizes_on(stream);
  Ceilings ceilings;
  ceilings.copy_bytes_per_second = copy_rate(stream, sizes);
  ceilings.matmul_flops_per_second = matmul_rate(stream, sizes);
  ceilings.launch_seconds = launch_seconds(stream, sizes);
  return ceilings;
}

}  // namespace etude::kernels::ETUDE_DEVICE
