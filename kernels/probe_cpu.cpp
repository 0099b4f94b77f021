#include <unistd.h>

#include <algorithm>
#include <memory>

#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "kernels/probe.h"
#include "kernels/probe_timing.h"
#include "kernels/simd.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace etude::kernels::cpu {
namespace {

constexpr int64_t kPage = 1024;  // floats
using Floats = std::unique_ptr<float[]>;

// Left as they are: whoever writes a page first, and keeps using it, decides where it lies.
Floats floats(int64_t n) { return std::make_unique_for_overwrite<float[]>(static_cast<size_t>(n)); }

void fill(int64_t n, int64_t grain, float* x) {
  parallel_ranges(n, grain,
                  [&](int64_t begin, int64_t end) { std::fill(x + begin, x + end, 0.1f); });
}

// Whole lines, written without being read first, where the processor can.
void stream_copy(int64_t n, const float* x, float* y) {
  int64_t i = 0;
#if defined(__SSE2__)
  while (i < n && reinterpret_cast<uintptr_t>(y + i) % 16 != 0) ++i;
  std::copy(x, x + i, y);
  for (; i + 4 <= n; i += 4) _mm_stream_ps(y + i, _mm_loadu_ps(x + i));
  _mm_sfence();
#endif
  std::copy(x + i, x + n, y + i);
}

// 64 MiB each, or four times the last cache where that is more.
int64_t large() {
  int64_t bytes = int64_t{64} << 20;
#if defined(_SC_LEVEL3_CACHE_SIZE)
  bytes =
      std::max(bytes, std::min(int64_t{256} << 20, 4 * int64_t{sysconf(_SC_LEVEL3_CACHE_SIZE)}));
#endif
  return bytes / static_cast<int64_t>(sizeof(float));
}

double copy_rate(double budget) {
  const int64_t n = large(), grain = (n / threads() / kPage + 1) * kPage;
  const Floats x = floats(n), y = floats(n);
  fill(n, grain, x.get());
  fill(n, grain, y.get());
  const double seconds = best_seconds(budget, [&] {
    parallel_ranges(n, grain, [&](int64_t begin, int64_t end) {
      stream_copy(end - begin, x.get() + begin, y.get() + begin);
    });
  });
  return 2.0 * sizeof(float) * static_cast<double>(n) / seconds;
}

// 128 KiB to 128 KiB a thread, often enough that the start of the threads does not count.
double cache_rate(double budget) {
  constexpr int64_t n = 32 * kPage, rounds = 200;
  const Floats memory = floats(2 * n * threads());
  fill(2 * n * threads(), 2 * n, memory.get());
  const double seconds = best_seconds(budget, [&] {
    parallel_ranges(2 * n * threads(), 2 * n, [&](int64_t begin, int64_t) {
      float* x = memory.get() + begin;
      for (int64_t round = 0; round < rounds; ++round)
        for (int64_t i = 0; i < n; i += kLanes)  // back and forth: no copy is for nothing
          store(x + (round % 2 ? i : n + i), load(x + (round % 2 ? n + i : i)));
    });
  });
  return 2.0 * sizeof(float) * static_cast<double>(n * rounds * threads()) / seconds;
}

double matmul_rate(double budget, int64_t n) {
  const Floats a = floats(n * n), b = floats(n * n), c = floats(n * n);
  for (float* x : {a.get(), b.get(), c.get()}) fill(n * n, kPage, x);
  const double seconds = best_seconds(budget, [&] {
    matmul(n, n, n, {a.get(), n}, {b.get(), n}, c.get(), n, Write::overwrite);
  });
  const double size = static_cast<double>(n);
  return 2 * size * size * size / seconds;
}

double region_seconds(double budget) {
  constexpr int rounds = 100;
  return best_seconds(budget,
                      [&] {
                        for (int round = 0; round < rounds; ++round)
                          parallel_ranges(threads(), 1, [](int64_t, int64_t) {});
                      }) /
         rounds;
}

}  // namespace

Ceilings probe_ceilings() {
  return {.copy_bytes_per_second = copy_rate(0.15),
          .cache_bytes_per_second = cache_rate(0.05),
          .matmul_flops_per_second = std::max(matmul_rate(0.1, 512), matmul_rate(0.1, 1024)),
          .launch_seconds = region_seconds(0.02)};
}

}  // namespace etude::kernels::cpu
