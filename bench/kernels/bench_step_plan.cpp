// What a captured step begins and ends with.

#include <fmt/format.h>

#include "bench/kernels/optimizer_arrays.h"
#include "bench/kernels/suite.h"
#include "kernels/step_plan.h"

namespace etude::bench {
namespace {

constexpr int64_t kSteps = 4096;  // of the plan

struct Arrays {
  Arrays(const Stream& s, int64_t batch, int64_t time, int64_t length) : memory(s) {
    std::vector<int64_t> offsets(static_cast<size_t>(kSteps * batch));
    for (size_t i = 0; i < offsets.size(); ++i)
      offsets[i] = static_cast<int64_t>(i * 7919 % static_cast<size_t>(length - time - 1));
    cursor = memory.copy(std::vector<int64_t>{0});
    plan = {memory.ids(length, 36011),
            memory.copy(offsets),
            memory.copy(nadam_steps(kSteps)),
            memory.random(kSteps),
            cursor,
            memory.copy(std::vector<uint32_t>{0}),
            memory.copy(nadam_steps(1))};
    inputs = memory.ids(batch * time, 36011);
    targets = memory.ids(batch, 36011);
    loss = memory.random(batch);
  }
  Memory memory;
  int64_t* cursor;
  kernels::StepPlan plan;
  int32_t *inputs, *targets;
  float* loss;
};

Work work(const Suite& suite, int64_t batch, int64_t time) {
  const Stream s = suite.stream();
  const auto a = std::make_shared<Arrays>(s, batch, time, suite.size(500'000, 2000));
  return {.bytes = 8 * count(batch * (time + 1)) + 12 * count(batch),
          .call =
              [=](int) {
                ON_DEVICE(s, begin_step, a->plan, 1, batch, time, a->inputs, a->targets);
                ON_DEVICE(s, end_step, a->plan, batch, a->loss);
              },
          .reset = [=] { kernels::clear(s, a->cursor, sizeof(int64_t)); },
          .most_calls = kSteps / 2};
}

}  // namespace

void bench_step_plan(Suite& suite) {
  if (suite.on_cpu()) return;  // a trainer's loop does it there
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time}))
    suite.add({.op = "step_plan/begin_and_end",
               .sizes = fmt::format("B:{}/T:{}", s.batch, s.time),
               .stream = suite.stream(),
               .make = [=, &suite] { return work(suite, s.batch, s.time); }});
}

}  // namespace etude::bench
