#pragma once

// Loops over all cores, through OpenMP. A body must compute the same bits whatever thread runs it:
// then results do not depend on how many there are.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace etude::kernels::cpu {

inline void set_threads(int count) { omp_set_num_threads(count); }
inline int threads() { return omp_get_max_threads(); }

namespace detail {

// An exception must not leave an OpenMP region: the first one waits here for its end.
class FirstException {
 public:
  template <typename Call>
  void guard(const Call& call) noexcept {
    try {
      call();
    } catch (...) {
#pragma omp critical(etude_first_exception)
      if (!exception_) exception_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::exception_ptr exception_;
};

}  // namespace detail

// body(i) for every i < count, each perhaps on another core; whoever is free takes the next.
template <typename Body>
void parallel_tasks(int64_t count, const Body& body) {
  detail::FirstException first;
#pragma omp parallel for schedule(dynamic, 1) if (count > 1)
  for (int64_t i = 0; i < count; ++i) first.guard([&] { body(i); });
  first.rethrow();
}

// body(begin, end) over pieces of [0, n) of `grain` elements, the last one shorter.
template <typename Body>
void parallel_ranges(int64_t n, int64_t grain, const Body& body) {
  const int64_t pieces = (n + grain - 1) / grain;
  detail::FirstException first;
#pragma omp parallel for schedule(static) if (pieces > 1)
  for (int64_t p = 0; p < pieces; ++p)
    first.guard([&] { body(p * grain, std::min(n, (p + 1) * grain)); });
  first.rethrow();
}

}  // namespace etude::kernels::cpu
