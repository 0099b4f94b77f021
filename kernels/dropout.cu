// Bound by memory: 8 bytes an element, 12 where a gradient is added. Floor at 3 TB/s and
// 96 x 50 x 256 elements: 3.3 us (4.9). A Philox block is 20 wide multiplications and about 40
// other integer operations for 4 elements: 0.31 M blocks are 1.1 us of the whole device's issue
// slots, hidden behind the memory. Measured: not yet, no GPU was at hand.
// Registers (sm_80, sm_90a): 26, 26; no spills.

#include "kernels/dropout.h"

#include <cmath>

#include "kernels/quads.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

// Philox of philox.h, whose std::array and host function device code cannot use.
__device__ r123::Philox4x32::ctr_type numbers_of(const DeviceRandomKey& key, uint32_t step,
                                                 uint64_t block) {
  const r123::Philox4x32::ctr_type counter = {
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), key.stream, step}};
  const r123::Philox4x32::key_type seed = {
      {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)}};
  return r123::Philox4x32()(counter, seed);
}

// The thread's four elements are those of one Philox block. y may be x.
__global__ void mask(int64_t n, uint32_t threshold, float scale, DeviceRandomKey key,
                     const float* x, float* y, Write write, bool wide) {
  const uint32_t step = *key.step;
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads()) {
    const auto number = numbers_of(key, step, static_cast<uint64_t>(i / 4));
    const float4 in = load_quad(x + i, n - i, wide);
    float4 kept = make_float4(number.v[0] < threshold ? 0.0f : __fmul_rn(in.x, scale),
                              number.v[1] < threshold ? 0.0f : __fmul_rn(in.y, scale),
                              number.v[2] < threshold ? 0.0f : __fmul_rn(in.z, scale),
                              number.v[3] < threshold ? 0.0f : __fmul_rn(in.w, scale));
    if (write == Write::add) kept = add_quads(kept, load_quad(y + i, n - i, wide));
    store_quad(y + i, kept, n - i, wide);
  }
}

void apply_mask(const Stream& stream, const char* name, int64_t n, float rate,
                const DeviceRandomKey& key, const float* x, float* y, Write write) {
  const auto threshold = static_cast<uint32_t>(std::floor(static_cast<double>(rate) * 0x1p32));
  launch(stream, {name, elementwise_grid(divide_up(n, 4), kThreads), {kThreads}}, mask, n,
         threshold, 1.0f / (1.0f - rate), key, x, y, write, wide_access({x, y}));
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
