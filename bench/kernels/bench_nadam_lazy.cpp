// Nadam on the embedding's table done late: index, catch_up and update of a step, and the flush
// that comes every 64th step. What moves the cursor between them is not timed.

#include <fmt/format.h>

#include <set>

#include "bench/kernels/optimizer_arrays.h"
#include "bench/kernels/suite.h"
#include "kernels/nadam_lazy.h"
#include "kernels/step_plan.h"

namespace etude::bench {
namespace {

using kernels::EmbeddingShape;

constexpr Target kTable = {2.5, 40, 6, 3};
constexpr int64_t kSteps = 4096;  // of the plan
constexpr int64_t kFlush = 64;    // steps
constexpr int kMinibatches = 8;   // by turns: rows are missed in between

struct Plan {
  Plan(const Stream& s, const EmbeddingShape& of, int64_t rows)
      : memory(s), stream(s), shape(of), batch(rows) {
    const kernels::NadamState state = random_state(memory, shape.classes * shape.dim);
    table.rows = shape.classes;
    table.columns = shape.dim;
    table.w = state.w;
    table.m = state.m;
    table.v = state.v;
    table.last = memory.copy(std::vector<int32_t>(static_cast<size_t>(shape.classes)));
    table.scalars = memory.copy(nadam_steps(kSteps));
    cursor = memory.copy(std::vector<int64_t>{0});
    table.cursor = cursor;
    losses = memory.random(kSteps);
    loss = memory.random(batch);
    dy = memory.random(shape.count * shape.dim, 0.01f);
    for (int i = 0; i < kMinibatches; ++i) add_minibatch();
    const auto size = ON_DEVICE_PICK(s, embedding_index_size)(shape);
    index = memory.copy(std::vector<int32_t>(static_cast<size_t>(size)));
  }
  void add_minibatch() {
    const std::vector<int32_t> values = memory.random_ids(shape.count, shape.classes);
    named += std::ssize(std::set(values.begin(), values.end()));
    ids.push_back(memory.copy(values));
  }
  void begin() const {
    kernels::clear(stream, cursor, sizeof(int64_t));
    ON_DEVICE(stream, nadam_lazy_begin, table);
  }
  void end_step() const {
    kernels::StepPlan plan = {};
    plan.losses = losses;
    plan.cursor = cursor;
    ON_DEVICE(stream, end_step, plan, batch, loss);
  }
  void update(int i) const {
    ON_DEVICE(stream, embedding_index, shape, ids[i], index);
    ON_DEVICE(stream, nadam_lazy_catch_up, table, shape.count, ids[i]);
    ON_DEVICE(stream, nadam_lazy_update, table, shape.count, index, dy);
  }
  Memory memory;
  Stream stream;
  EmbeddingShape shape;
  int64_t batch, named = 0;  // rows, of all minibatches
  kernels::NadamLazyTable table = {};
  int64_t* cursor;
  float *losses, *loss, *dy;
  std::vector<int32_t*> ids;
  int32_t* index;
};

Work update(const Stream& s, const EmbeddingShape& shape, int64_t batch) {
  const auto plan = std::make_shared<Plan>(s, shape, batch);
  const double named = count(plan->named) / kMinibatches * count(shape.dim);
  return {.sets = kMinibatches,
          .flops = 2 * 14 * named,
          .bytes = 2 * 24 * named + 4 * count(shape.count * shape.dim),
          .call = [=](int i) { plan->update(i); },
          .before = [=](int) { plan->end_step(); },
          .reset = [=] { plan->begin(); },
          .most_calls = kSteps / 2};
}

// Of a table whose every row is as late as it ever is.
Work flush(const Stream& s, const EmbeddingShape& shape, int64_t batch) {
  const auto plan = std::make_shared<Plan>(s, shape, batch);
  const double n = count(shape.classes * shape.dim);
  return {.flops = 14 * kFlush * n,
          .bytes = 24 * n,
          .call = [=](int) { ON_DEVICE(s, nadam_lazy_flush, plan->table); },
          .before =
              [=](int) {
                plan->begin();
                for (int64_t step = 0; step < kFlush; ++step) plan->end_step();
              }};
}

}  // namespace

void bench_nadam_lazy(Suite& suite) {
  if (suite.on_cpu()) return;
  const int64_t dim = suite.size(100, 9);
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::vocabulary})) {
    const Stream stream = suite.stream();
    const EmbeddingShape shape = {s.vocabulary, dim, s.batch * s.time};
    const int64_t batch = s.batch;
    const std::string sizes =
        fmt::format("B:{}/T:{}/V:{}/dim:{}", s.batch, s.time, s.vocabulary, dim);
    suite.add({.op = "embedding_update/lazy",
               .sizes = sizes,
               .stream = stream,
               .target = s.batch == 96 && s.vocabulary == 36011 ? kTable : Target{},
               .make = [=] { return update(stream, shape, batch); }});
    suite.add({.op = "nadam/lazy_flush", .sizes = sizes, .stream = stream, .make = [=] {
                 return flush(stream, shape, batch);
               }});
  }
}

}  // namespace etude::bench
