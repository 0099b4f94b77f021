// The hidden dense layer, on the last state of a GRU and on the flattened states of all steps.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/dense.h"

namespace etude::bench {
namespace {

using kernels::DenseShape;

double bytes(const DenseShape& s, int64_t passes) {
  return 4 * count(passes * (s.rows * s.in + s.in * s.out) + s.rows * s.out);
}

Work work(const Stream& s, const DenseShape& shape, bool backward) {
  using kernels::Write;
  const auto memory = std::make_shared<Memory>(s);
  const auto x = memory->random_sets(kSets, shape.rows * shape.in);
  const float *w = memory->random(shape.in * shape.out, 0.1f), *b = memory->random(shape.out);
  float *y = memory->random(shape.rows * shape.out), *dx = memory->random(shape.rows * shape.in),
        *dw = memory->random(shape.in * shape.out), *db = memory->random(shape.out);
  const double flops = 2 * count(shape.rows * shape.in * shape.out);
  if (!backward)
    return {
        .sets = kSets, .flops = flops, .bytes = bytes(shape, 1), .call = [=, keep = memory](int i) {
          DISPATCH(s, dense_forward, shape, x[i], w, b, y);
        }};
  return {.sets = kSets,
          .flops = 2 * flops,
          .bytes = bytes(shape, 2),
          .call = [=, keep = memory](int i) {
            DISPATCH(s, dense_backward, shape, x[i], w, y,
                     {dx, Write::overwrite, dw, Write::overwrite, db, Write::overwrite});
          }};
}

}  // namespace

void bench_dense(Suite& suite) {
  const int64_t out = suite.size(64, 8);
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units}))
    for (const int64_t in : {2 * s.units, s.time * 2 * s.units})
      for (const bool backward : {false, true})
        for (const Stream& stream : suite.streams())
          suite.add({.op = backward ? "dense/backward" : "dense/forward",
                     .sizes = fmt::format("B:{}/in:{}/out:{}", s.batch, in, out),
                     .stream = stream,
                     .make = [=] {
                       return work(stream, {s.batch, in, out}, backward);
                     }});
}

}  // namespace etude::bench
