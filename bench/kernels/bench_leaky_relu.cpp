// Leaky ReLU behind the hidden dense layer: so small that it stays in the cache, as in training.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/leaky_relu.h"

namespace etude::bench {
namespace {

constexpr float kSlope = 0.3f;

Work work(const Suite& suite, int64_t n, bool backward) {
  const Stream s = suite.stream();
  const int bytes = backward ? 12 : 8;
  const auto [sets, cold] = suite.rotation(bytes * n);
  const auto memory = std::make_shared<Memory>(s);
  const auto x = memory->random_sets(sets, n), dy = memory->random_sets(sets, n),
             y = memory->random_sets(sets, n);
  Work work = {.sets = sets, .cold = cold, .flops = count(n), .bytes = bytes * count(n)};
  if (backward)
    work.call = [=, keep = memory](int i) {
      DISPATCH(s, leaky_relu_backward, n, kSlope, x[i], dy[i], y[i], kernels::Write::overwrite);
    };
  else
    work.call = [=, keep = memory](int i) {
      DISPATCH(s, leaky_relu_forward, n, kSlope, x[i], y[i]);
    };
  return work;
}

}  // namespace

void bench_leaky_relu(Suite& suite) {
  const int64_t dense = suite.size(64, 8);
  for (const Sizes& s : suite.sizes({&Sizes::batch}))
    for (const bool backward : {false, true})
      suite.add({.op = backward ? "leaky_relu/backward" : "leaky_relu/forward",
                 .sizes = fmt::format("B:{}/out:{}", s.batch, dense),
                 .stream = suite.stream(),
                 .make = [=, &suite] { return work(suite, s.batch * dense, backward); }});
}

}  // namespace etude::bench
