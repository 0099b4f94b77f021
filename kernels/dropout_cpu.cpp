#include <cmath>

#include "kernels/dropout.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {
namespace {

constexpr int64_t kGrain = 1 << 12;  // a multiple of 4: a Philox block belongs to one piece

// y = x / (1 - rate) where element i is kept, else 0; added to what y holds with Write::add.
void apply_mask(int64_t n, float rate, const RandomKey& key, const float* x, float* y,
                Write write) {
  const auto threshold = static_cast<uint32_t>(std::floor(static_cast<double>(rate) * 0x1p32));
  const float scale = 1.0f / (1.0f - rate);
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      const auto bits = philox(key, static_cast<uint64_t>(i) / 4);
      for (int64_t j = i; j < std::min(end, i + 4); ++j) {
        const float kept = bits[j - i] < threshold ? 0.0f : x[j] * scale;
        y[j] = write == Write::add ? y[j] + kept : kept;
      }
    }
  });
}

}  // namespace

void dropout_forward(int64_t n, float rate, const RandomKey& key, const float* x, float* y) {
  apply_mask(n, rate, key, x, y, Write::overwrite);
}

void dropout_backward(int64_t n, float rate, const RandomKey& key, const float* dy, float* dx,
                      Write write) {
  apply_mask(n, rate, key, dy, dx, write);
}

}  // namespace etude::kernels::cpu
