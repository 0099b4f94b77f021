// Sums of columns: the bias gradients of a GRU.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/matmul.h"

namespace etude::bench {
namespace {

Work work(const Suite& suite, int64_t rows, int64_t columns) {
  const Stream s = suite.stream();
  const auto [sets, cold] = suite.rotation(4 * rows * columns);
  const auto memory = std::make_shared<Memory>(s);
  const auto x = memory->random_sets(sets, rows * columns);
  float* sums = memory->random(columns);
  return {.sets = sets,
          .cold = cold,
          .flops = count(rows * columns),
          .bytes = 4 * count(rows * columns),
          .call = [=, keep = memory](int set) {
            DISPATCH(s, column_sums, rows, columns, x[set], columns, sums,
                     kernels::Write::overwrite);
          }};
}

}  // namespace

void bench_column_sums(Suite& suite) {
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units})) {
    const int64_t rows = s.batch * s.time, columns = 3 * s.units;
    suite.add({.op = "column_sums",
               .sizes = fmt::format("rows:{}/columns:{}", rows, columns),
               .stream = suite.stream(),
               .make = [=, &suite] { return work(suite, rows, columns); }});
  }
}

}  // namespace etude::bench
