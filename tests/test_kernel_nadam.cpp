#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/nadam.h"
#include "kernels/parallel.h"
#include "tests/nadam_case.h"
#include "tests/reference/harness.h"
#include "tests/reference/nadam.h"
#include "tests/reference/vectors.h"

using namespace etude;
using namespace etude::tests;
using kernels::NadamOptions;
using kernels::NadamStep;

namespace {

// The decimal numbers that the floats of the options stand for.
const reference::NadamOptions kDecimal;

// The options as the kernel sees them: exactly its floats.
reference::NadamOptions as_double(const NadamOptions& options) {
  return {options.learning_rate, options.beta1, options.beta2, options.epsilon};
}

struct Kernel {
  Guarded w, m, v;
  double schedule_product = 1;
  int64_t count, step = 0;
  NadamOptions options;

  explicit Kernel(const Vec& start)
      : w(start), m(Vec(start.size())), v(Vec(start.size())), count(std::ssize(start)) {}

  template <typename Update>
  void next(const Vec& g, const Update& update) {
    Guarded gradient(g);
    const Vec before = gradient.numbers();
    const NadamStep now = kernels::nadam_step(options, ++step, schedule_product);
    update(now, kernels::NadamState{w.data(), gradient.data(), m.data(), v.data()});
    CHECK_MESSAGE(w.guards_intact(), "written outside w");
    CHECK_MESSAGE(m.guards_intact(), "written outside m");
    CHECK_MESSAGE(v.guards_intact(), "written outside v");
    CHECK_MESSAGE(same_bits(gradient.numbers(), before), "the gradient was changed");
  }
  void dense(const Vec& g) {
    next(g, [&](const NadamStep& now, const auto& state) {
      kernels::cpu::nadam_update(count, now, state);
    });
  }
  void sparse(const Vec& g, int64_t columns, const std::vector<int32_t>& ids) {
    next(g, [&](const NadamStep& now, const auto& state) {
      kernels::cpu::nadam_update_sparse(count / columns, columns, std::ssize(ids), ids.data(), now,
                                        state);
    });
  }
};

// What every element is measured by, as gradients may differ by orders of magnitude.
Vec in_units_of(const Vec& v, const Vec& squares) {
  Vec out(v.size());
  for (size_t i = 0; i < v.size(); ++i)
    out[i] = squares[i] > 0 ? v[i] / std::sqrt(squares[i]) : v[i];
  return out;
}

Vec ratios(const Vec& got, const Vec& want) {
  Vec out(got.size());
  for (size_t i = 0; i < got.size(); ++i) out[i] = got[i] == want[i] ? 1 : got[i] / want[i];
  return out;
}

Vec minus(const Vec& a, const Vec& b) {
  Vec out(a.size());
  for (size_t i = 0; i < a.size(); ++i) out[i] = a[i] - b[i];
  return out;
}

// Every step rounds w by up to 2^-25 of itself, so that the way that w went is known less well.
void check_state(const std::string& what, const Kernel& kernel, const Vec& start,
                 const reference::NadamState& want, double tolerance, double way_tolerance) {
  const Vec w = kernel.w.numbers();
  check_close(what + ": w", w, want.w, 1e-6);
  check_close(what + ": the way of w", minus(w, start), minus(want.w, start), way_tolerance, 1e-5);
  check_close(what + ": m", in_units_of(kernel.m.numbers(), want.v), in_units_of(want.m, want.v),
              tolerance);
  check_close(what + ": v", ratios(kernel.v.numbers(), want.v), Vec(w.size(), 1), tolerance);
}

}  // namespace

TEST_CASE("the momentum schedule is Keras' over thousands of steps") {
  const NadamOptions options;
  const auto exact = as_double(options);
  double product = 1, expected = 1;
  for (int64_t t = 1; t <= 5000; ++t) {
    const NadamStep step = kernels::nadam_step(options, t, product);
    const double u = reference::nadam_momentum(exact, t);
    const double next = reference::nadam_momentum(exact, t + 1);
    expected *= u;
    if (expected > 1e-290)  // below, doubles lose digits
      REQUIRE(product == doctest::Approx(expected).epsilon(1e-10).scale(0));
    const double lr = exact.learning_rate;
    REQUIRE(step.gradient_factor ==
            doctest::Approx(lr * (1 - u) / (1 - expected)).epsilon(2e-7).scale(0));
    REQUIRE(step.momentum_factor ==
            doctest::Approx(lr * next / (1 - expected * next)).epsilon(2e-7).scale(0));
    const double power = std::pow(exact.beta2, static_cast<double>(t));
    REQUIRE(step.v_factor == doctest::Approx(1 / (1 - power)).epsilon(2e-7).scale(0));
  }
}

TEST_CASE("one step of Nadam from weights of zero is the formula") {
  for (const int64_t n : {1, 2, 33, 1001}) {
    const Vec zero(n), g = gradient_of_step(n, 1);
    Kernel kernel(zero);
    reference::NadamState want{zero, zero, zero};
    kernel.dense(g);
    reference::nadam_update(as_double(kernel.options), 1, g, want);
    check_state(fmt::format("nadam, first step of {}", n), kernel, zero, want, 1e-6, 1e-6);
  }
}

TEST_CASE("Nadam meets its reference over many steps") {
  for (const int64_t n : {1, 33, 1000, 50'001}) {
    const int64_t steps = n > 10'000 ? 10 : 200;
    const Vec start = random_numbers(n, 1);
    Kernel kernel(start);
    reference::NadamState want{start, Vec(n), Vec(n)};
    for (int64_t t = 1; t <= steps; ++t) {
      kernel.dense(gradient_of_step(n, t));
      reference::nadam_update(as_double(kernel.options), t, gradient_of_step(n, t), want);
    }
    check_state(fmt::format("nadam, {} steps of {}", steps, n), kernel, start, want, 5e-6, 1e-4);
    CHECK(kernel.w.numbers()[0] == start[0]);
  }
}

TEST_CASE("Nadam heeds all of its options") {
  const Vec start = random_numbers(33, 1);
  for (const NadamOptions& options :
       {NadamOptions{.learning_rate = 0.1f}, NadamOptions{.beta1 = 0.5f},
        NadamOptions{.beta2 = 0.9f}, NadamOptions{.epsilon = 0.1f}}) {
    Kernel kernel(start);
    kernel.options = options;
    reference::NadamState want{start, Vec(33), Vec(33)};
    for (int64_t t = 1; t <= 20; ++t) {
      kernel.dense(gradient_of_step(33, t));
      reference::nadam_update(as_double(options), t, gradient_of_step(33, t), want);
    }
    check_state("nadam with other options", kernel, start, want, 5e-6, 1e-4);
  }
}

TEST_CASE("sparse Nadam decays the moments of all rows and moves only those that were named") {
  struct Table {
    int64_t rows, columns, count;
  };
  for (const Table& table :
       {Table{1, 1, 1}, Table{5, 3, 9}, Table{33, 33, 7}, Table{1000, 100, 480}}) {
    const int64_t n = table.rows * table.columns;
    const Vec start = random_numbers(n, 1);
    Kernel kernel(start);
    reference::NadamState want{start, Vec(n), Vec(n)};
    for (int64_t t = 1; t <= 20; ++t) {
      const auto ids =
          random_ids(table.count, static_cast<uint64_t>(t), static_cast<int32_t>(table.rows));
      Vec g(n);
      for (const int32_t id : ids)
        for (int64_t d = 0; d < table.columns; ++d)
          g[id * table.columns + d] = static_cast<float>(std::sin(id + d + t));
      const Vec before = kernel.w.numbers();
      kernel.sparse(g, table.columns, ids);
      reference::nadam_update_sparse(as_double(kernel.options), t, g, table.columns, ids, want);
      const Vec after = kernel.w.numbers();
      int64_t strays = 0;
      for (int64_t i = 0; i < n; ++i) {
        const bool named = std::find(ids.begin(), ids.end(), i / table.columns) != ids.end();
        strays += !named && after[i] != before[i];
      }
      REQUIRE(strays == 0);
    }
    check_state(fmt::format("sparse nadam {} x {}", table.rows, table.columns), kernel, start, want,
                5e-6, 1e-4);
  }
}

TEST_CASE("Nadam gives the same bits with any number of threads") {
  const int64_t columns = 101, rows = 997, n = rows * columns;
  const Vec start = random_numbers(n, 1);
  const auto ids = random_ids(300, 2, static_cast<int32_t>(rows));
  std::vector<Arrays> runs;
  for (const int threads : {2, 2, 1, 3}) {
    kernels::cpu::set_threads(threads);
    Kernel kernel(start);
    for (int64_t t = 1; t <= 3; ++t) {
      kernel.dense(random_numbers(n, 10 + static_cast<uint64_t>(t)));
      kernel.sparse(random_numbers(n, 20 + static_cast<uint64_t>(t)), columns, ids);
    }
    runs.push_back({kernel.w.numbers(), kernel.m.numbers(), kernel.v.numbers()});
    for (size_t i = 0; i < 3; ++i)
      CHECK_MESSAGE(same_bits(runs.back()[i], runs[0][i]), threads, " threads");
  }
  kernels::cpu::set_threads(2);
}

TEST_CASE("Nadam does what Keras' does, dense and sparse") {
  const Vectors vectors("nadam");
  for (const std::string kind : {"dense", "sparse"}) {
    const Vec start = vectors.numbers(kind + ".w0"), all_g = vectors.numbers(kind + ".g");
    const Vec all_w = vectors.numbers(kind + ".w"), all_m = vectors.numbers(kind + ".m"),
              all_v = vectors.numbers(kind + ".v");
    const int64_t n = std::ssize(start), steps = std::ssize(all_g) / n, columns = 3, count = 4;
    Kernel kernel(start);
    reference::NadamState state{start, Vec(n), Vec(n)};
    for (int64_t t = 1; t <= steps; ++t) {
      const auto of_step = [&](const auto& all, int64_t size) {
        return std::decay_t<decltype(all)>(all.begin() + (t - 1) * size, all.begin() + t * size);
      };
      const Vec g = of_step(all_g, n);
      if (kind == "dense") {
        kernel.dense(g);
        reference::nadam_update(kDecimal, t, g, state);
      } else {
        const auto ids = of_step(vectors.integers("sparse.ids"), count);
        kernel.sparse(g, columns, ids);
        reference::nadam_update_sparse(kDecimal, t, g, columns, ids, state);
      }
      const reference::NadamState want{of_step(all_w, n), of_step(all_m, n), of_step(all_v, n)};
      check_close("reference's w", state.w, want.w, 1e-12);
      check_close("reference's m", in_units_of(state.m, want.v), in_units_of(want.m, want.v),
                  1e-12);
      check_close("reference's v", ratios(state.v, want.v), Vec(n, 1), 1e-12);
      // 0.999f is not 0.999: 1 - b2 and with it v differ by 1.3e-5.
      check_state("nadam, " + kind, kernel, start, want, 3e-5, 2e-4);
    }
  }
}
