#pragma once

// Loops over all cores, through OpenMP. A body must compute the same bits whatever thread runs it:
// then results do not depend on how many there are.

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace etude::kernels::cpu {

inline void set_threads(int count) { omp_set_num_threads(count); }
inline int threads() { return omp_get_max_threads(); }

// body(i) for every i < count, each perhaps on another core; whoever is free takes the next.
template <typename Body>
void parallel_tasks(int64_t count, const Body& body) {
#pragma omp parallel for schedule(dynamic, 1) if (count > 1)
  for (int64_t i = 0; i < count; ++i) body(i);
}

// body(begin, end) over pieces of [0, n) of `grain` elements, the last one shorter.
template <typename Body>
void parallel_ranges(int64_t n, int64_t grain, const Body& body) {
  const int64_t pieces = (n + grain - 1) / grain;
#pragma omp parallel for schedule(static) if (pieces > 1)
  for (int64_t p = 0; p < pieces; ++p) body(p * grain, std::min(n, (p + 1) * grain));
}

}  // namespace etude::kernels::cpu
