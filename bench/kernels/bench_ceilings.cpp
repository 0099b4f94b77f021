// What this machine gives at best: memory, tensor cores (through cuBLAS), launches.

#include "bench/kernels/ceilings.h"

#include <fmt/format.h>

#include <array>

#include "bench/kernels/suite.h"
#include "kernels/matmul.h"

namespace etude::bench {
namespace {

void copy(Suite& suite) {
  const int64_t n = suite.size(int64_t{64} << 20, 4096);  // 256 MiB: more than any cache
  const auto x = suite.random(n), y = suite.random(n);
  suite.measure({.op = "ceiling copy",
                 .version = "own kernel",
                 .shape = fmt::format("{} floats", n),
                 .call =
                     [=](const Stream& s, int set) {
                       set % 2 ? ON_DEVICE(s, bench_copy, n, *x, *y)
                               : ON_DEVICE(s, bench_copy, n, *y, *x);
                     },
                 .bytes = 8.0 * static_cast<double>(n)});
}

void product(Suite& suite, Precision precision) {
  const int64_t n = suite.size(8192, 64);
  const auto a = suite.random(n * n), b = suite.random(n * n), c = suite.random(n * n);
  const double flops =
      2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  suite.measure(
      {.op = "ceiling matmul",
       .version = "cuBLAS",
       .shape = fmt::format("{0} x {0} x {0}", n),
       .precision = precision,
       .call =
           [=](const Stream& s, int set) {
             const Array& left = set % 2 ? *a : *b;
             ON_DEVICE(s, matmul, n, n, n, {left, n}, {*b, n}, *c, n, kernels::Write::overwrite);
           },
       .flops = flops,
       .long_call = true});
}

}  // namespace

void bench_ceilings(Suite& suite) {
  if (!suite.wanted("ceiling")) return;
  const auto nothing = [](const Stream& s, int) { ON_DEVICE(s, bench_nothing); };
  suite.measure({.op = "ceiling launch", .version = "stream", .call = nothing, .captured = false});
  suite.measure({.op = "ceiling launch", .version = "graph node", .call = nothing});
  copy(suite);
  for (const Precision precision : kPrecisions) product(suite, precision);
}

}  // namespace etude::bench
