// The dense update takes 28 bytes a number of the whole table through memory, 101 MB at V 36,011 x
// 100; this one those of the named rows, and all of it once in many steps. The dense update is what
// the tests hold this against, bit by bit.

#include <algorithm>
#include <bit>

#include "kernels/nadam_element.h"
#include "kernels/nadam_lazy.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {
namespace {

constexpr int64_t kRows = 64;    // a task's
constexpr int64_t kBlock = 128;  // numbers that go through all their steps in the first cache

// Steps `done` to `goal` of n <= kBlock numbers from `i` on.
void replay(const NadamLazyTable& t, int64_t i, int64_t n, int64_t done, int64_t goal) {
  float w[kBlock], m[kBlock], v[kBlock];
  std::copy_n(t.w + i, n, w);
  std::copy_n(t.m + i, n, m);
  std::copy_n(t.v + i, n, v);
  for (int64_t step = done; step < goal; ++step) {
    const NadamStep s = t.scalars[step];
#pragma omp simd
    for (int64_t k = 0; k < n; ++k) nadam_element(s, 0.0f, w[k], m[k], v[k]);
  }
  std::copy_n(w, n, t.w + i);
  std::copy_n(m, n, t.m + i);
  std::copy_n(v, n, t.v + i);
}

void bring_up(const NadamLazyTable& t, int64_t row, int64_t goal) {
  const int64_t done = t.last[row];
  if (done < 0 || done >= goal) return;
  t.last[row] = static_cast<int32_t>(goal);
  const int64_t end = (row + 1) * t.columns;
  for (int64_t i = row * t.columns; i < end; i += kBlock)
    replay(t, i, std::min(kBlock, end - i), done, goal);
}

void update_row(const NadamLazyTable& t, const NadamStep& s, int64_t row, const float* g) {
  const int64_t first = row * t.columns;
#pragma omp simd
  for (int64_t k = 0; k < t.columns; ++k)
    nadam_element(s, g[k], t.w[first + k], t.m[first + k], t.v[first + k]);
  t.last[row] = static_cast<int32_t>(*t.cursor + 1);
}

}  // namespace

// By bits: -0 is not yet at rest.
void nadam_lazy_begin(const NadamLazyTable& t) {
  parallel_ranges(t.rows, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto moves = [&](const float* moment) {
        return std::any_of(moment + row * t.columns, moment + (row + 1) * t.columns,
                           [](float x) { return std::bit_cast<uint32_t>(x) != 0; });
      };
      t.last[row] = moves(t.m) || moves(t.v) ? 0 : -1;
    }
  });
}

void nadam_lazy_catch_up(const NadamLazyTable& t, const DistinctRows& rows) {
  parallel_ranges(rows.count, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) bring_up(t, rows.ids[r], *t.cursor);
  });
}

void nadam_lazy_update(const NadamLazyTable& t, const DistinctRows& rows, const float* g) {
  const NadamStep step = t.scalars[*t.cursor];
  parallel_ranges(rows.count, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) update_row(t, step, rows.ids[r], g + r * t.columns);
  });
}

void nadam_lazy_flush(const NadamLazyTable& t) {
  parallel_ranges(t.rows, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) bring_up(t, row, *t.cursor);
  });
}

}  // namespace etude::kernels::cpu
