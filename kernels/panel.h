#pragma once

// The inner loop of the products that a recurrence makes in every step: a few rows times a panel of
// packed weights, the sums held in registers. Weights are packed once a call and stay in the cache.

#include "kernels/simd.h"

namespace etude::kernels::cpu {

// `Vectors` vectors of one row of a weight matrix; a panel is an array of them, one a row.
template <int Vectors>
struct PanelRow {
  Vec v[Vectors];
};

// sums[i][j] += sum over k of a[i * stride + k] * panel[k * Vectors * kLanes + j * kLanes], k in
// ascending order.
template <int Rows, int Vectors>
inline void multiply_panel(Vec (&sums)[Rows][Vectors], const float* a, int64_t stride,
                           int64_t depth, const float* panel) {
  for (int64_t k = 0; k < depth; ++k) {
    Vec row[Vectors];
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) row[j] = load(panel + (k * Vectors + j) * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const Vec left = broadcast(a[i * stride + k]);
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sums[i][j] += left * row[j];
    }
  }
}

template <int Rows, int Vectors>
inline void multiply_panel(Vec (&sums)[Rows][Vectors], const float* a, int64_t stride,
                           int64_t depth, const PanelRow<Vectors>* panel) {
  multiply_panel(sums, a, stride, depth, reinterpret_cast<const float*>(panel));
}

}  // namespace etude::kernels::cpu
