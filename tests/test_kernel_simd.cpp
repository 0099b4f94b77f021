// The functions that the GRU, attention and cross-entropy are made of. Their own tests measure an
// error by the size of a whole array, where an error near 0 could hide.

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>

#include "kernels/simd_lanes.h"

using namespace etude;
using kernels::cpu::broadcast;
using kernels::cpu::kLanes;
using kernels::cpu::Vec;

namespace {

using Function = Vec (*)(Vec);
using Exact = double (*)(double);

// The largest relative error over [low, high].
double worst_error(Function function, Exact exact, double low, double high) {
  constexpr int kSteps = 200'000;
  double worst = 0;
  for (int i = 0; i < kSteps; i += kLanes) {
    Vec x{};
    for (int lane = 0; lane < kLanes; ++lane)
      x[lane] = static_cast<float>(low + (high - low) * (i + lane) / kSteps);
    const Vec y = function(x);
    for (int lane = 0; lane < kLanes; ++lane) {
      const double want = exact(x[lane]);
      const double error = want == 0 ? std::abs(y[lane]) : std::abs(y[lane] / want - 1);
      worst = error <= worst ? worst : error;
    }
  }
  return worst;
}

double exact_exp(double x) { return std::exp(x); }
double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_tanh(double x) { return std::tanh(x); }

Vec vector_exp(Vec x) { return kernels::cpu::exp(x); }
Vec vector_sigmoid(Vec x) { return kernels::cpu::sigmoid(x); }
Vec vector_tanh(Vec x) { return kernels::cpu::tanh(x); }

constexpr double kUlp = 0x1p-23;

}  // namespace

TEST_CASE("exp is right to two units in the last place") {
  CHECK(worst_error(vector_exp, exact_exp, -87, 88) < 2 * kUlp);
  CHECK(worst_error(vector_exp, exact_exp, -1, 1) < 2 * kUlp);
  CHECK(kernels::cpu::exp(Vec{})[0] == 1);
}

TEST_CASE("exp goes to 0 far below and stays finite far above") {
  CHECK(kernels::cpu::exp(broadcast(-88))[0] == 0);
  CHECK(kernels::cpu::exp(broadcast(-1e30f))[0] == 0);
  CHECK(kernels::cpu::exp(broadcast(-INFINITY))[0] == 0);
  CHECK(std::isfinite(kernels::cpu::exp(broadcast(1e30f))[0]));
}

TEST_CASE("a NaN stays one, so that a run that went wrong shows it") {
  for (const Function function : {vector_exp, vector_sigmoid, vector_tanh})
    CHECK(std::isnan(function(broadcast(NAN))[kLanes - 1]));
}

TEST_CASE("sigmoid and tanh are right to a few units in the last place") {
  CHECK(worst_error(vector_sigmoid, exact_sigmoid, -80, 80) < 4 * kUlp);
  CHECK(worst_error(vector_tanh, exact_tanh, -30, 30) < 8 * kUlp);
  CHECK(worst_error(vector_tanh, exact_tanh, -0.5, 0.5) < 8 * kUlp);
  CHECK(worst_error(vector_tanh, exact_tanh, -1e-3, 1e-3) < 8 * kUlp);
  CHECK(kernels::cpu::tanh(Vec{})[0] == 0);
}

TEST_CASE("a square of vectors is transposed, and lanes are combined") {
  Vec rows[kLanes];
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < kLanes; ++j) rows[i][j] = static_cast<float>(i * kLanes + j);
  kernels::cpu::transpose(rows);
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < kLanes; ++j) CHECK(rows[i][j] == static_cast<float>(j * kLanes + i));
    CHECK(kernels::cpu::horizontal_max(rows[i]) == rows[i][kLanes - 1]);
    CHECK(kernels::cpu::horizontal_max(-rows[i]) == -rows[i][0]);
    CHECK(kernels::cpu::horizontal_sum(rows[i]) ==
          static_cast<float>(kLanes * i + kLanes * kLanes * (kLanes - 1) / 2));
  }
}
