#include "kernels/leaky_relu.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {

constexpr int64_t kGrain = 1 << 14;

void leaky_relu_forward(int64_t n, float slope, const float* x, float* y) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];
  });
}

void leaky_relu_backward(int64_t n, float slope, const float* x, const float* dy, float* dx,
                         Write write) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    const auto gradient = [&](int64_t i) { return x[i] > 0 ? dy[i] : slope * dy[i]; };
    if (write == Write::overwrite)
      for (int64_t i = begin; i < end; ++i) dx[i] = gradient(i);
    else
      for (int64_t i = begin; i < end; ++i) dx[i] += gradient(i);
  });
}

}  // namespace etude::kernels::cpu
