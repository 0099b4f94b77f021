// Dropout. The mask's random numbers are integer work, which no ceiling here measures: where they
// hold it, its share of the memory's bound is below what can be reached.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/dropout.h"

namespace etude::bench {
namespace {

constexpr float kRate = 0.3f;

struct Arrays {
  Arrays(const Suite& suite, int64_t n)
      : rotation(suite.rotation(8 * n)), memory(std::make_shared<Memory>(suite.stream())) {
    x = memory->random_sets(rotation.sets, n);
    y = memory->random_sets(rotation.sets, n);
    step = memory->copy(std::vector<uint32_t>{17});
  }
  Rotation rotation;
  std::shared_ptr<Memory> memory;
  std::vector<float*> x, y;
  uint32_t* step;
};

Work work(const Suite& suite, int64_t n, bool backward) {
  using kernels::Write;
  const Stream s = suite.stream();
  const Arrays a(suite, n);
  Work work = {
      .sets = a.rotation.sets, .cold = a.rotation.cold, .flops = count(n), .bytes = 8 * count(n)};
  const kernels::RandomKey key = {1, 2, 17};
  const kernels::DeviceRandomKey device_key = {1, 2, a.step};
  if (suite.on_cpu() && backward)
    work.call = [=](int i) {
      kernels::cpu::dropout_backward(n, kRate, key, a.x[i], a.y[i], Write::overwrite);
    };
  else if (suite.on_cpu())
    work.call = [=](int i) { kernels::cpu::dropout_forward(n, kRate, key, a.x[i], a.y[i]); };
  else if (backward)
    work.call = [=](int i) {
      ON_DEVICE(s, dropout_backward, n, kRate, device_key, a.x[i], a.y[i], Write::overwrite);
    };
  else
    work.call = [=](int i) { ON_DEVICE(s, dropout_forward, n, kRate, device_key, a.x[i], a.y[i]); };
  return work;
}

}  // namespace

void bench_dropout(Suite& suite) {
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units}))
    for (const bool backward : {false, true}) {
      const int64_t n = s.batch * s.time * 2 * s.units;
      suite.add({.op = backward ? "dropout/backward" : "dropout/forward",
                 .sizes = fmt::format("B:{}/T:{}/F:{}", s.batch, s.time, 2 * s.units),
                 .stream = suite.stream(),
                 .make = [&suite, n, backward] { return work(suite, n, backward); }});
    }
}

}  // namespace etude::bench
