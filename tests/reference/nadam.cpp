#include "tests/reference/nadam.h"

#include <algorithm>
#include <cmath>

namespace etude::reference {

double nadam_momentum(const NadamOptions& options, int64_t t) {
  return options.beta1 * (1 - 0.5 * std::pow(0.96, 0.004 * static_cast<double>(t)));
}

double nadam_schedule_product(const NadamOptions& options, int64_t t) {
  double product = 1;
  for (int64_t i = 1; i <= t; ++i) product *= nadam_momentum(options, i);
  return product;
}

void nadam_update(const NadamOptions& options, int64_t t, const Vec& g, NadamState& state) {
  const double b1 = options.beta1, b2 = options.beta2;
  const double u = nadam_momentum(options, t), u_next = nadam_momentum(options, t + 1);
  const double p = nadam_schedule_product(options, t), p_next = p * u_next;
  for (size_t i = 0; i < g.size(); ++i) {
    double &w = state.w[i], &m = state.m[i], &v = state.v[i];
    m = b1 * m + (1 - b1) * g[i];
    v = b2 * v + (1 - b2) * g[i] * g[i];
    const double direction = (1 - u) * g[i] / (1 - p) + u_next * m / (1 - p_next);
    const double v_hat = v / (1 - std::pow(b2, static_cast<double>(t)));
    w -= options.learning_rate * direction / (std::sqrt(v_hat) + options.epsilon);
  }
}

void nadam_update_sparse(const NadamOptions& options, int64_t t, const Vec& g, int64_t columns,
                         const std::vector<int32_t>& ids, NadamState& state) {
  const Vec before = state.w;
  nadam_update(options, t, g, state);
  for (int64_t row = 0; row < std::ssize(before) / columns; ++row)
    if (std::find(ids.begin(), ids.end(), row) == ids.end())
      std::copy_n(before.begin() + row * columns, columns, state.w.begin() + row * columns);
}

}  // namespace etude::reference
