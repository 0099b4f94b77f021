// The plain products of the models' layers, through cuBLAS.

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

void measure(Suite& suite, const Product& p, Precision precision) {
  std::vector<Shared> a;
  for (int set = 0; set < kSets; ++set) a.push_back(suite.random(p.m * p.k));
  const auto b = suite.random(p.k * p.n, 0.1f), c = suite.random(p.m * p.n);
  const int64_t a_stride = p.a == Transpose::no ? p.k : p.m;
  const int64_t b_stride = p.b == Transpose::no ? p.n : p.k;
  suite.measure({.op = std::string("matmul ") + p.what,
                 .version = "cuBLAS",
                 .shape = fmt::format("{} x {} x {}", p.m, p.n, p.k),
                 .precision = precision,
                 .call =
                     [=](const Stream& s, int set) {
                       ON_DEVICE(s, matmul, p.m, p.n, p.k,
                                 {*a[static_cast<size_t>(set)], a_stride, p.a}, {*b, b_stride, p.b},
                                 *c, p.n, kernels::Write::overwrite);
                     },
                 .flops = 2.0 * static_cast<double>(p.m * p.n * p.k)});
}

}  // namespace

// One direction's: x W, its gradients, and the one of the recurrent weights.
void bench_matmul(Suite& suite) {
  if (!suite.wanted("matmul")) return;
  const int64_t rows = suite.size(96 * 50, 15), in = suite.size(256, 9),
                gates = suite.size(384, 12), units = suite.size(128, 4);
  const Product products[] = {{"x W", rows, gates, in, Transpose::no, Transpose::no},
                              {"dx", rows, in, gates, Transpose::no, Transpose::yes},
                              {"dW", in, gates, rows, Transpose::yes, Transpose::no},
                              {"dR", units, gates, rows, Transpose::yes, Transpose::no}};
  for (const Product& p : products)
    for (const Precision precision : kPrecisions) measure(suite, p, precision);
}

}  // namespace etude::bench
