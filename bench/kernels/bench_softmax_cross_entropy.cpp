// The loss alone, on logits that lie in memory. Its exponentials are in no ceiling.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/softmax_cross_entropy.h"

namespace etude::bench {
namespace {

Work work(const Suite& suite, const kernels::CrossEntropyShape& shape, bool backward) {
  const Stream s = suite.stream();
  const int64_t n = shape.rows * shape.classes, bytes = backward ? 8 : 4;
  const auto [sets, cold] = suite.rotation(bytes * n);
  const auto memory = std::make_shared<Memory>(s);
  const auto logits = memory->random_sets(sets, n);
  const auto dlogits = memory->random_sets(backward ? sets : 0, n);
  const int32_t* targets = memory->ids(shape.rows, shape.classes);
  float *loss = memory->random(shape.rows), *log_sum = memory->random(shape.rows, 1, 10);
  Work work = {.sets = sets, .cold = cold, .bytes = count(bytes * n)};
  if (backward)
    work.call = [=, keep = memory](int i) {
      DISPATCH(s, softmax_cross_entropy_backward, shape, 1.0f, logits[i], targets, log_sum,
               dlogits[i], kernels::Write::overwrite);
    };
  else
    work.call = [=, keep = memory](int i) {
      DISPATCH(s, softmax_cross_entropy_forward, shape, logits[i], targets, loss, log_sum);
    };
  return work;
}

}  // namespace

void bench_softmax_cross_entropy(Suite& suite) {
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::vocabulary}))
    for (const bool backward : {false, true})
      suite.add(
          {.op = backward ? "softmax_cross_entropy/backward" : "softmax_cross_entropy/forward",
           .sizes = fmt::format("B:{}/V:{}", s.batch, s.vocabulary),
           .stream = suite.stream(),
           .make = [=, &suite] {
             return work(suite, {s.batch, s.vocabulary}, backward);
           }});
}

}  // namespace etude::bench
