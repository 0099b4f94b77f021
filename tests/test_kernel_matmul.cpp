#include <doctest/doctest.h>
#include <fmt/format.h>
#include <omp.h>

#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "kernels/precision.h"
#include "tests/reference/harness.h"
#include "tests/reference/matmul.h"
#include "tests/reference/rounded.h"

using namespace etude;
using namespace etude::tests;
using kernels::Transpose;

namespace {

// Rounding of a sum of k products, relative to its size.
constexpr double kTolerance = 2e-6;

struct Product {
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false;
  int64_t a_gap = 0, b_gap = 0, c_gap = 0;
  Write write = Write::overwrite;
  float scale = 1;
};

struct Operands {
  Vec a, b, c;
  explicit Operands(const Product& p)
      : a(random_numbers(p.m * p.k, 1)),
        b(random_numbers(p.k * p.n, 2)),
        c(random_numbers(p.m * p.n, 3)) {}
};

Layout layout(int64_t rows, int64_t columns, bool transposed, int64_t gap) {
  return transposed ? Layout{columns, rows, rows + gap} : Layout{rows, columns, columns + gap};
}

Transpose transpose(bool yes) { return yes ? Transpose::yes : Transpose::no; }

Vec expected(const Product& p, const Operands& o) {
  Vec c = reference::matmul(p.m, p.n, p.k, o.a, p.a_transposed, o.b, p.b_transposed);
  for (size_t i = 0; i < c.size(); ++i)
    c[i] = p.scale * c[i] + (p.write == Write::add ? o.c[i] : 0);
  return c;
}

Vec computed(const Product& p, const Operands& o) {
  const Layout a_layout = layout(p.m, p.k, p.a_transposed, p.a_gap);
  const Layout b_layout = layout(p.k, p.n, p.b_transposed, p.b_gap);
  const Layout c_layout = layout(p.m, p.n, false, p.c_gap);
  Guarded a(a_layout, o.a), b(b_layout, o.b);
  Guarded c(c_layout, p.write == Write::add ? o.c : Vec{});
  kernels::cpu::matmul(p.m, p.n, p.k, {a.data(), a_layout.stride, transpose(p.a_transposed)},
                       {b.data(), b_layout.stride, transpose(p.b_transposed)}, c.data(),
                       c_layout.stride, p.write, p.scale);
  CHECK(a.guards_intact());
  CHECK(b.guards_intact());
  CHECK_MESSAGE(c.guards_intact(), "written outside c");
  return c.numbers();
}

void check_product(const Product& p) {
  const std::string name =
      fmt::format("matmul {}x{}x{}{}{} gaps {} {} {}{} scale {}", p.m, p.n, p.k,
                  p.a_transposed ? " a^T" : "", p.b_transposed ? " b^T" : "", p.a_gap, p.b_gap,
                  p.c_gap, p.write == Write::add ? " add" : "", p.scale);
  INFO(name);
  const Operands operands(p);
  const Vec c = computed(p, operands);
  check_close(name, c, expected(p, operands), kTolerance);
  CHECK_MESSAGE(same_bits(computed(p, operands), c), "other bits in a second run");
}

struct Sums {
  int64_t rows, columns, gap;
  Write write;
};

Vec computed(const Sums& s, const Vec& x, const Vec& before) {
  const Layout x_layout = layout(s.rows, s.columns, false, s.gap);
  Guarded guarded_x(x_layout, x);
  Guarded sums(Layout{1, s.columns}, s.write == Write::add ? before : Vec{});
  kernels::cpu::column_sums(s.rows, s.columns, guarded_x.data(), x_layout.stride, sums.data(),
                            s.write);
  CHECK_MESSAGE(sums.guards_intact(), "written outside the sums");
  return sums.numbers();
}

void check_sums(const Sums& s) {
  INFO(s.rows, " x ", s.columns);
  const Vec x = random_numbers(s.rows * s.columns, 1), before = random_numbers(s.columns, 2);
  Vec want = reference::column_sums(s.rows, s.columns, x);
  for (size_t j = 0; j < want.size() && s.write == Write::add; ++j) want[j] += before[j];
  kernels::cpu::set_threads(2);
  const Vec sums = computed(s, x, before);
  check_close(fmt::format("column sums {} x {}", s.rows, s.columns), sums, want, 5e-6);
  for (const int threads : {2, 1, 3}) {
    kernels::cpu::set_threads(threads);
    CHECK_MESSAGE(same_bits(computed(s, x, before), sums), threads, " threads give other bits");
  }
  kernels::cpu::set_threads(2);
}

}  // namespace

TEST_CASE("a matrix product meets its reference with every transpose, stride and write") {
  for (const bool a_transposed : {false, true})
    for (const bool b_transposed : {false, true})
      for (const Write write : {Write::overwrite, Write::add})
        for (const int64_t gap : {0, 3}) {
          check_product({7, 5, 11, a_transposed, b_transposed, gap, 2 * gap, gap, write});
          check_product({33, 130, 33, a_transposed, b_transposed, 2 * gap, gap, gap, write, 0.5f});
        }
}

TEST_CASE("a matrix product meets its reference at odd sizes") {
  for (const int64_t m : {1, 33, 96})
    for (const int64_t n : {1, 33, 100})
      for (const int64_t k : {1, 33, 256}) check_product({m, n, k, m == n, n == k});
}

TEST_CASE("a matrix product may be called from within a parallel region") {
  const Product p{33, 34, 35};
  const Operands operands(p);
  const Vec want = expected(p, operands);
  constexpr int kCalls = 4;
  Arrays got(kCalls);
  kernels::cpu::set_threads(2);
  kernels::cpu::parallel_tasks(kCalls, [&](int64_t i) {
    const std::vector<float> a = to_float(operands.a), b = to_float(operands.b);
    std::vector<float> c(p.m * p.n);
    kernels::cpu::matmul(p.m, p.n, p.k, {a.data(), p.k}, {b.data(), p.n}, c.data(), p.n,
                         Write::overwrite);
    got[i] = to_double(c);
  });
  for (const Vec& c : got) {
    check_close("matmul in a parallel region", c, want, kTolerance);
    CHECK(same_bits(c, got[0]));
  }
}

TEST_CASE("column sums meet their reference with the same bits for any number of threads") {
  for (const Write write : {Write::overwrite, Write::add})
    for (const int64_t gap : {0, 5}) {
      for (const int64_t rows : {1, 2, 33, 97})
        for (const int64_t columns : {1, 17, 33, 384}) check_sums({rows, columns, gap, write});
      check_sums({4800, 384, gap, write});
      check_sums({96, 36011, gap, write});
      check_sums({20000, 3, gap, write});
    }
}

TEST_CASE("in bfloat16 a product is that of the rounded operands") {
  if (!kernels::cpu::has_bf16()) {
    MESSAGE("skipped: no AVX512-BF16 here");
    return;
  }
  kernels::cpu::use_precision(kernels::Precision::bf16);
  for (const bool a_transposed : {false, true})
    for (const bool b_transposed : {false, true})
      for (const Write write : {Write::overwrite, Write::add}) {
        const Product p{.m = 401,
                        .n = 93,
                        .k = 117,
                        .a_transposed = a_transposed,
                        .b_transposed = b_transposed,
                        .a_gap = 3,
                        .b_gap = 5,
                        .c_gap = 2,
                        .write = write};
        Operands o(p);
        const Vec got = computed(p, o);
        const Vec exact = expected(p, o);
        o.a = reference::rounded(o.a, kernels::Precision::bf16);
        o.b = reference::rounded(o.b, kernels::Precision::bf16);
        check_close("bf16", got, expected(p, o), kTolerance);
        CHECK_FALSE(same_bits(got, exact));
      }
  kernels::cpu::use_precision(kernels::Precision::fp32);
}
