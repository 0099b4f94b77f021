#pragma once

#include "tests/reference/types.h"

namespace etude::reference {

struct NadamOptions {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
};

// u_t, and P_t = u_1 ... u_t.
double nadam_momentum(const NadamOptions& options, int64_t t);
double nadam_schedule_product(const NadamOptions& options, int64_t t);

struct NadamState {
  Vec w, m, v;
};

// Step t (from 1) with the gradient g.
void nadam_update(const NadamOptions& options, int64_t t, const Vec& g, NadamState& state);

// Rows of `columns` numbers: m and v of all rows change, but only the rows that ids names move.
void nadam_update_sparse(const NadamOptions& options, int64_t t, const Vec& g, int64_t columns,
                         const std::vector<int32_t>& ids, NadamState& state);

}  // namespace etude::reference
