// Bound by memory: 12 bytes an element, 8 where a gradient overwrites. Floor at 3 TB/s and
// 96 x 50 x 256 elements: 4.9 us (3.3); at 96 x 64 the launch itself. Four elements a thread: with
// one, 4-byte accesses need four times as many requests in flight to fill the same memory.
// Measured: not yet, no GPU was at hand. Registers (sm_80, sm_90a): 28 and 32 (sum), 32 (copy); no
// spills.

#include "kernels/add.h"

#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

// y may be a.
__global__ void sum(int64_t n, const float* a, const float* b, float* y, bool wide) {
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads())
    store_quad(y + i, add_quads(load_quad(a + i, n - i, wide), load_quad(b + i, n - i, wide)),
               n - i, wide);
}

__global__ void copy(int64_t n, const float* from, float* to, bool wide) {
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads())
    store_quad(to + i, load_quad(from + i, n - i, wide), n - i, wide);
}

Extent grid_of(int64_t n) { return elementwise_grid(divide_up(n, 4), kThreads); }

}  // namespace

void add_forward(const Stream& stream, int64_t n, const float* a, const float* b, float* y) {
  launch(stream, {"add_forward", grid_of(n), {kThreads}}, sum, n, a, b, y, wide_access({a, b, y}));
}

void add_backward(const Stream& stream, int64_t n, const float* dy, float* da, Write write) {
  const bool wide = wide_access({dy, da});
  if (write == Write::add)
    launch(stream, {"add_backward", grid_of(n), {kThreads}}, sum, n, static_cast<const float*>(da),
           dy, da, wide);
  else
    launch(stream, {"add_backward", grid_of(n), {kThreads}}, copy, n, dy, da, wide);
}

}  // namespace etude::kernels::ETUDE_DEVICE
