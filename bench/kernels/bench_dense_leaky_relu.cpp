// The same layer with its leaky ReLU in one.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/dense_leaky_relu.h"

namespace etude::bench {
namespace {

constexpr float kSlope = 0.3f;

Work work(const Stream& s, const kernels::DenseShape& shape, bool backward) {
  using kernels::Write;
  const auto memory = std::make_shared<Memory>(s);
  const int64_t in = shape.rows * shape.in, weights = shape.in * shape.out,
                out = shape.rows * shape.out;
  const auto x = memory->random_sets(kSets, in);
  const float *w = memory->random(weights, 0.1f), *b = memory->random(shape.out);
  float *y = memory->random(out), *dy = memory->random(out), *dsum = memory->random(out),
        *dx = memory->random(in), *dw = memory->random(weights), *db = memory->random(shape.out);
  const double flops = 2 * count(shape.rows * shape.in * shape.out);
  if (!backward)
    return {.sets = kSets,
            .flops = flops,
            .bytes = 4 * count(in + weights + out),
            .call = [=, keep = memory](int i) {
              DISPATCH(s, dense_leaky_relu_forward, shape, kSlope, x[i], w, b, y);
            }};
  return {.sets = kSets,
          .flops = 2 * flops,
          .bytes = 4 * count(2 * in + 2 * weights + 2 * out),
          .call = [=, keep = memory](int i) {
            DISPATCH(s, dense_leaky_relu_backward, shape, kSlope, x[i], w, y, dy, dsum,
                     {dx, Write::overwrite, dw, Write::overwrite, db, Write::overwrite});
          }};
}

}  // namespace

void bench_dense_leaky_relu(Suite& suite) {
  const int64_t out = suite.size(64, 8);
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::units}))
    for (const bool backward : {false, true})
      for (const Stream& stream : suite.streams())
        suite.add({.op = backward ? "dense_leaky_relu/backward" : "dense_leaky_relu/forward",
                   .sizes = fmt::format("B:{}/in:{}/out:{}", s.batch, 2 * s.units, out),
                   .stream = stream,
                   .make = [=] {
                     return work(stream, {s.batch, 2 * s.units, out}, backward);
                   }});
}

}  // namespace etude::bench
