// The small operations: each is little but its launch.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/add.h"
#include "kernels/dense.h"
#include "kernels/dropout.h"
#include "kernels/leaky_relu.h"
#include "kernels/matmul.h"
#include "kernels/step_plan.h"

namespace etude::bench {
namespace {

using kernels::Write;

// Of n elements: `call(stream, x, y)`, x by turns.
template <typename Call>
void elementwise(Suite& suite, const char* op, int64_t n, double bytes, const Call& call) {
  if (!suite.wanted(op)) return;
  std::vector<Shared> x;
  for (int set = 0; set < kSets; ++set) x.push_back(suite.random(n));
  const auto y = suite.random(n);
  suite.measure({.op = op,
                 .version = "automatic",
                 .shape = fmt::format("{} elements", n),
                 .call =
                     [=](const Stream& s, int set) {
                       const float* from = *x[static_cast<size_t>(set)];
                       call(s, from, static_cast<float*>(*y));
                     },
                 .bytes = bytes * static_cast<double>(n)});
}

void dense(Suite& suite, const kernels::DenseShape& shape, Precision precision) {
  std::vector<Shared> x;
  for (int set = 0; set < kSets; ++set) x.push_back(suite.random(shape.rows * shape.in));
  const auto w = suite.random(shape.in * shape.out, 0.1f), b = suite.random(shape.out),
             y = suite.random(shape.rows * shape.out), dx = suite.random(shape.rows * shape.in),
             dw = suite.random(shape.in * shape.out), db = suite.random(shape.out);
  suite.measure({.op = "dense both",
                 .version = "automatic",
                 .shape = fmt::format("{} x {} > {}", shape.rows, shape.in, shape.out),
                 .precision = precision,
                 .call =
                     [=](const Stream& s, int set) {
                       const Array& in = *x[static_cast<size_t>(set)];
                       ON_DEVICE(s, dense_forward, shape, in, *w, *b, *y);
                       ON_DEVICE(
                           s, dense_backward, shape, in, *w, *y,
                           {*dx, Write::overwrite, *dw, Write::overwrite, *db, Write::overwrite});
                     },
                 .flops = 6.0 * static_cast<double>(shape.rows * shape.in * shape.out)});
}

void column_sums(Suite& suite) {
  const int64_t rows = suite.size(4800, 33), columns = suite.size(384, 7);
  const auto x = suite.random(rows * columns), sums = suite.random(columns);
  suite.measure({.op = "column sums",
                 .version = "automatic",
                 .shape = fmt::format("{} x {}", rows, columns),
                 .call =
                     [=](const Stream& s, int) {
                       ON_DEVICE(s, column_sums, rows, columns, *x, columns, *sums,
                                 Write::overwrite);
                     },
                 .bytes = 4.0 * static_cast<double>(rows * columns)});
}

// What a captured step begins and ends with. The cursor runs on over a plan that is long enough.
void step_ends(Suite& suite) {
  const int64_t batch = suite.size(96, 3), time = suite.size(50, 9),
                length = suite.size(500'000, 500);
  const int64_t steps = suite.size(100'000, 1000);  // more than are ever replayed
  const auto tokens = suite.random_ids(length, 36011);
  std::vector<int64_t> offsets(static_cast<size_t>(steps * batch));
  for (size_t i = 0; i < offsets.size(); ++i)
    offsets[i] = static_cast<int64_t>(i * 7919 % static_cast<size_t>(length - time - 1));
  const auto windows = suite.copy_of(offsets.data(), std::ssize(offsets) * 8);
  const std::vector<kernels::NadamStep> numbers(static_cast<size_t>(steps));
  const auto scalars =
      suite.copy_of(numbers.data(), steps * static_cast<int64_t>(sizeof(kernels::NadamStep)));
  const auto losses = suite.random(steps), loss = suite.random(batch);
  const auto cursor = suite.copy_of(int64_t{0});
  const auto step = suite.copy_of(uint32_t{0});
  const auto current = suite.copy_of(kernels::NadamStep{});
  const auto inputs = suite.random(batch * time), targets = suite.random(batch);
  const kernels::StepPlan plan = {
      tokens->as<int32_t>(), windows->as<int64_t>(), scalars->as<kernels::NadamStep>(), *losses,
      cursor->as<int64_t>(), step->as<uint32_t>(),   current->as<kernels::NadamStep>()};
  suite.measure({.op = "step begin and end",
                 .version = "automatic",
                 .shape = fmt::format("B {} T {}", batch, time),
                 .call = [=, keep = std::vector{tokens, windows, scalars, losses, cursor, step,
                                                current}](const Stream& s, int) {
                   ON_DEVICE(s, begin_step, plan, 1, batch, time, inputs->as<int32_t>(),
                             targets->as<int32_t>());
                   ON_DEVICE(s, end_step, plan, batch, *loss);
                 }});
}

}  // namespace

void bench_small(Suite& suite) {
  const int64_t states = suite.size(96 * 50 * 256, 1003), dense_out = suite.size(96 * 64, 33);
  elementwise(suite, "leaky relu forward", dense_out, 8,
              [=](const Stream& s, const float* x, float* y) {
                ON_DEVICE(s, leaky_relu_forward, dense_out, 0.3f, x, y);
              });
  elementwise(suite, "add forward", states, 12, [=](const Stream& s, const float* x, float* y) {
    ON_DEVICE(s, add_forward, states, x, x, y);
  });
  const auto step = suite.copy_of(uint32_t{17});
  elementwise(suite, "dropout forward", states, 8, [=](const Stream& s, const float* x, float* y) {
    ON_DEVICE(s, dropout_forward, states, 0.3f, {1, 2, step->as<uint32_t>()}, x, y);
  });
  if (suite.wanted("dense"))
    for (const int64_t in : {suite.size(256, 16), suite.size(12800, 50)})
      for (const Precision precision : kPrecisions)
        dense(suite, {suite.size(96, 9), in, suite.size(64, 8)}, precision);
  if (suite.wanted("column sums")) column_sums(suite);
  if (suite.wanted("step")) step_ends(suite);
}

}  // namespace etude::bench
