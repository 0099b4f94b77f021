#include <algorithm>

#include "kernels/add.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {

constexpr int64_t kGrain = 1 << 14;

void add_forward(int64_t n, const float* a, const float* b, float* y) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
  });
}

void add_backward(int64_t n, const float* dy, float* da, Write write) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    if (write == Write::overwrite)
      std::copy(dy + begin, dy + end, da + begin);
    else
      for (int64_t i = begin; i < end; ++i) da[i] += dy[i];
  });
}

}  // namespace etude::kernels::cpu
