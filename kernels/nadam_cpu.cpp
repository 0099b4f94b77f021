#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/nadam_element.h"
#include "kernels/parallel.h"

namespace etude::kernels {

NadamStep nadam_step(const NadamOptions& o, int64_t step, double& schedule_product) {
  const double b1 = o.beta1, b2 = o.beta2, lr = o.learning_rate;
  const auto momentum = [&](int64_t t) {
    return b1 * (1.0 - 0.5 * std::pow(0.96, 0.004 * static_cast<double>(t)));
  };
  const double now = momentum(step), next = momentum(step + 1);
  schedule_product *= now;
  NadamStep s;
  s.beta1 = o.beta1;
  s.one_minus_beta1 = static_cast<float>(1.0 - b1);
  s.beta2 = o.beta2;
  s.one_minus_beta2 = static_cast<float>(1.0 - b2);
  s.gradient_factor = static_cast<float>(lr * (1.0 - now) / (1.0 - schedule_product));
  s.momentum_factor = static_cast<float>(lr * next / (1.0 - schedule_product * next));
  s.v_factor = static_cast<float>(1.0 / (1.0 - std::pow(b2, static_cast<double>(step))));
  s.epsilon = o.epsilon;
  return s;
}

namespace cpu {
namespace {

constexpr int64_t kGrain = 1 << 15;

}  // namespace

void nadam_update(int64_t n, const NadamStep& s, const NadamState& p) {
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) nadam_element(s, p.g[i], p.w[i], p.m[i], p.v[i]);
  });
}

void nadam_update_sparse(int64_t rows, int64_t columns, int64_t count, const int32_t* ids,
                         const NadamStep& s, const NadamState& p) {
  std::vector<char> touched(static_cast<size_t>(rows), 0);
  for (int64_t i = 0; i < count; ++i) touched[static_cast<size_t>(ids[i])] = 1;
  const int64_t rows_a_piece = std::max<int64_t>(1, kGrain / columns);
  parallel_ranges(rows, rows_a_piece, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin * columns; i < end * columns; ++i)
      nadam_moments(s, p.g[i], p.m[i], p.v[i]);
    for (int64_t row = begin; row < end; ++row) {
      if (!touched[static_cast<size_t>(row)]) continue;
#pragma omp simd
      for (int64_t i = row * columns; i < (row + 1) * columns; ++i)
        nadam_move(s, p.g[i], p.m[i], p.v[i], p.w[i]);
    }
  });
}

}  // namespace cpu
}  // namespace etude::kernels
