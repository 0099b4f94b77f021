// Bound by memory: 8 bytes an element, 12 where a gradient is added. Floor at 3 TB/s and
// 96 x 50 x 256 elements: 3.3 us (4.9). A Philox block is 20 wide multiplications and about 40
// other integer operations for 4 elements: 0.31 M blocks are 1.1 us of the whole device's issue
// slots, hidden behind the memory. Measured: not yet, no GPU was at hand.
// Behind attention its kernels make the mask themselves where they can (attention.cu). Behind the
// last GRU it stays a launch of its own: 96 x 256 elements are about 2 us, of which the launch is
// nearly all, against a branch in the last step of each of the four recurrences.
// Registers (sm_80, sm_90a): 26, 26; no spills.

#include "kernels/dropout.h"

#include "kernels/dropout_mask.h"
#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

// The thread's four elements are those of one Philox block. y may be x.
__global__ void mask_elements(int64_t n, MaskArgument argument, const float* x, float* y,
                              Write write, bool wide) {
  const Mask mask(argument);
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads()) {
    float4 kept = mask.quad(i, load_quad(x + i, n - i, wide));
    if (write == Write::add) kept = add_quads(kept, load_quad(y + i, n - i, wide));
    store_quad(y + i, kept, n - i, wide);
  }
}

void apply_mask(const Stream& stream, const char* name, int64_t n, float rate,
                const DeviceRandomKey& key, const float* x, float* y, Write write) {
  launch(stream, {name, elementwise_grid(divide_up(n, 4), kThreads), {kThreads}}, mask_elements, n,
         mask_argument({rate, key}), x, y, write, wide_access({x, y}));
}

}  // namespace

void dropout_forward(const Stream& stream, int64_t n, float rate, const DeviceRandomKey& key,
                     const float* x, float* y) {
  apply_mask(stream, "dropout_forward", n, rate, key, x, y, Write::overwrite);
}

void dropout_backward(const Stream& stream, int64_t n, float rate, const DeviceRandomKey& key,
                      const float* dy, float* dx, Write write) {
  apply_mask(stream, "dropout_backward", n, rate, key, dy, dx, write);
}

}  // namespace etude::kernels::ETUDE_DEVICE
