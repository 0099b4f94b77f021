// The plain products of a GRU layer, of one direction: x W, its gradients, and the one of the
// recurrent weights. Through oneDNN on the CPU, cuBLAS on a GPU.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/matmul.h"

namespace etude::bench {
namespace {

using kernels::Transpose;

struct Product {
  const char* what;
  int64_t m, n, k;
  Transpose a, b;
};

Work work(const Stream& s, const Product& p) {
  const auto memory = std::make_shared<Memory>(s);
  const auto a = memory->random_sets(kSets, p.m * p.k);
  const float* b = memory->random(p.k * p.n, 0.1f);
  float* c = memory->random(p.m * p.n);
  const int64_t a_stride = p.a == Transpose::no ? p.k : p.m;
  const int64_t b_stride = p.b == Transpose::no ? p.n : p.k;
  return {.sets = kSets,
          .flops = 2 * count(p.m * p.n * p.k),
          .bytes = 4 * count(p.m * p.k + p.k * p.n + p.m * p.n),
          .call = [=, keep = memory](int set) {
            DISPATCH(s, matmul, p.m, p.n, p.k, {a[set], a_stride, p.a}, {b, b_stride, p.b}, c, p.n,
                     kernels::Write::overwrite, 1.0f);
          }};
}

}  // namespace

void bench_matmul(Suite& suite) {
  const int64_t in = suite.size(256, 9);
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units})) {
    const int64_t rows = s.batch * s.time, gates = 3 * s.units;
    for (const Product& p : {Product{"xW", rows, gates, in, Transpose::no, Transpose::no},
                             Product{"dx", rows, in, gates, Transpose::no, Transpose::yes},
                             Product{"dW", in, gates, rows, Transpose::yes, Transpose::no},
                             Product{"dR", s.units, gates, rows, Transpose::yes, Transpose::no}})
      for (const Stream& stream : suite.streams())
        suite.add({.op = fmt::format("matmul/{}", p.what),
                   .sizes = fmt::format("m:{}/n:{}/k:{}", p.m, p.n, p.k),
                   .stream = stream,
                   .make = [=] { return work(stream, p); }});
  }
}

}  // namespace etude::bench
