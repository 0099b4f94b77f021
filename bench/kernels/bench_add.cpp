// Sum of two arrays. In training the layers before have just written both: there they are warmer.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/add.h"

namespace etude::bench {
namespace {

Work forward(const Suite& suite, int64_t n) {
  const Stream s = suite.stream();
  const auto [sets, cold] = suite.rotation(12 * n);
  const auto memory = std::make_shared<Memory>(s);
  const auto a = memory->random_sets(sets, n), b = memory->random_sets(sets, n),
             y = memory->random_sets(sets, n);
  return {
      .sets = sets,
      .cold = cold,
      .flops = count(n),
      .bytes = 12 * count(n),
      .call = [=, keep = memory](int set) { DISPATCH(s, add_forward, n, a[set], b[set], y[set]); }};
}

Work backward(const Suite& suite, int64_t n) {
  const Stream s = suite.stream();
  const auto [sets, cold] = suite.rotation(8 * n);
  const auto memory = std::make_shared<Memory>(s);
  const auto dy = memory->random_sets(sets, n), da = memory->random_sets(sets, n);
  return {.sets = sets, .cold = cold, .bytes = 8 * count(n), .call = [=, keep = memory](int set) {
            DISPATCH(s, add_backward, n, dy[set], da[set], kernels::Write::overwrite);
          }};
}

}  // namespace

void bench_add(Suite& suite) {
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units})) {
    const int64_t n = s.batch * s.time * 2 * s.units;
    const std::string sizes = fmt::format("B:{}/T:{}/F:{}", s.batch, s.time, 2 * s.units);
    suite.add({.op = "add/forward", .sizes = sizes, .stream = suite.stream(), .make = [&suite, n] {
                 return forward(suite, n);
               }});
    suite.add({.op = "add/backward", .sizes = sizes, .stream = suite.stream(), .make = [&suite, n] {
                 return backward(suite, n);
               }});
  }
}

}  // namespace etude::bench
