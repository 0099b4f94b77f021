// The embedding, its gradient, and Nadam on it and on all parameters.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/embedding.h"
#include "kernels/nadam.h"
#include "kernels/nadam_lazy.h"
#include "kernels/step_plan.h"

namespace etude::bench {
namespace {

using kernels::EmbeddingShape;
using kernels::NadamState;
using kernels::Write;

constexpr Target kTarget = {2.5, 40, 6, 3};

// The optimiser's state of n parameters.
struct Moments {
  Moments(Suite& suite, int64_t n)
      : w(suite.random(n)), g(suite.random(n, 1e-3f)), m(suite.random(n, 1e-3f)) {
    std::vector<float> squares(static_cast<size_t>(n), 1e-6f);  // a second moment is not negative
    v = suite.copy_of(squares.data(), n * 4);
    double product = 1;
    step = suite.copy_of(kernels::nadam_step({}, 1, product));
  }
  NadamState state() const { return {*w, *g, *m, *v}; }
  Shared w, g, m, v, step;
};

struct Memory {
  Memory(Suite& suite, const EmbeddingShape& shape, const Stream& stream, int sets = kSets)
      : table(suite, shape.classes * shape.dim) {
    for (int set = 0; set < sets; ++set)
      ids.push_back(suite.random_ids(shape.count, shape.classes));
    y = suite.random(shape.count * shape.dim);
    dy = suite.random(shape.count * shape.dim, 0.01f);
    index = suite.random(OF_DEVICE(stream, embedding_index_size, shape));
  }
  const int32_t* id(int set) const { return ids[static_cast<size_t>(set)]->as<int32_t>(); }
  Moments table;
  std::vector<Shared> ids;
  Shared y, dy, index;
};

void embedding(Suite& suite, const EmbeddingShape& shape) {
  const auto m = std::make_shared<Memory>(suite, shape, suite.stream());
  const double rows = 4.0 * static_cast<double>(shape.count * shape.dim);
  Case c = {.op = "embedding forward",
            .version = "automatic",
            .shape = fmt::format("{} of {} x {}", shape.count, shape.classes, shape.dim),
            .call =
                [=](const Stream& s, int set) {
                  ON_DEVICE(s, embedding_forward, shape, *m->table.w, m->id(set), *m->y);
                },
            .bytes = 2 * rows};
  suite.measure(c);
  c.op = "embedding index";
  c.bytes = 0;
  c.call = [=](const Stream& s, int set) {
    ON_DEVICE(s, embedding_index, shape, m->id(set), m->index->as<int32_t>());
  };
  suite.measure(c);
  c.op = "embedding backward+update";
  c.version = "dense";
  c.target = kTarget;
  c.bytes = 7.0 * 4.0 * static_cast<double>(shape.classes * shape.dim);
  c.call = [=](const Stream& s, int set) {
    ON_DEVICE(s, embedding_index, shape, m->id(set), m->index->as<int32_t>());
    ON_DEVICE(s, embedding_backward, shape, m->index->as<int32_t>(), *m->dy, *m->table.g,
              Write::overwrite);
    ON_DEVICE(s, nadam_update, shape.classes * shape.dim, m->table.step->as<kernels::NadamStep>(),
              m->table.state());
  };
  suite.measure(c);
}

// The ids of so many minibatches by turns: as many as a graph has calls, so that rows are missed.
constexpr int kMinibatches = 2 * kSets;

// A plan that the lazy update moves through.
struct Plan {
  Plan(Suite& suite, const EmbeddingShape& shape) : batch(suite.size(96, 3)) {
    const int64_t steps = suite.size(200'000, 2000);  // more than are ever replayed
    std::vector<kernels::NadamStep> numbers(static_cast<size_t>(steps));
    double product = 1;
    for (int64_t i = 0; i < steps; ++i)
      numbers[static_cast<size_t>(i)] = kernels::nadam_step({}, i + 1, product);
    scalars = suite.copy_of(numbers.data(), steps * static_cast<int64_t>(sizeof numbers[0]));
    cursor = suite.copy_of(int64_t{0});
    losses = suite.random(steps);
    loss = suite.random(batch);
    last = suite.random(shape.classes);
  }
  void end_step(const Stream& s) const {
    kernels::StepPlan plan = {};
    plan.losses = *losses;
    plan.cursor = cursor->as<int64_t>();
    ON_DEVICE(s, end_step, plan, batch, *loss);
  }
  int64_t batch;
  Shared scalars, cursor, losses, loss, last;
  int turn = 0;
};

kernels::NadamLazyTable lazy_table(const EmbeddingShape& shape, const Memory& m, const Plan& p) {
  kernels::NadamLazyTable table = {};
  table.rows = shape.classes;
  table.columns = shape.dim;
  table.w = *m.table.w;
  table.m = *m.table.m;
  table.v = *m.table.v;
  table.last = p.last->as<int32_t>();
  table.scalars = p.scalars->as<kernels::NadamStep>();
  table.cursor = p.cursor->as<int64_t>();
  return table;
}

// The end of a step, which moves the cursor, is measured alone and taken off. The flush of the
// table, every 64th step, is not in it.
void lazy_embedding(Suite& suite, const EmbeddingShape& shape) {
  const auto m = std::make_shared<Memory>(suite, shape, suite.stream(), kMinibatches);
  const auto p = std::make_shared<Plan>(suite, shape);
  const kernels::NadamLazyTable table = lazy_table(shape, *m, *p);
  Case c = {.op = "embedding step end",
            .version = "automatic",
            .shape = fmt::format("B {}", p->batch),
            .call = [=](const Stream& s, int) { p->end_step(s); }};
  const Figures ends = suite.measure(c);
  kernels::clear(suite.stream(), p->cursor->as<int64_t>(), sizeof(int64_t));
  ON_DEVICE(suite.stream(), nadam_lazy_begin, table);
  kernels::synchronize(suite.stream());
  c.op = "embedding lazy with end";
  c.version = "lazy";
  c.shape = fmt::format("{} of {} x {}", shape.count, shape.classes, shape.dim);
  c.call = [=](const Stream& s, int) {
    auto* index = m->index->as<int32_t>();
    const int32_t* ids = m->id(p->turn++ % kMinibatches);
    ON_DEVICE(s, embedding_index, shape, ids, index);
    ON_DEVICE(s, nadam_lazy_catch_up, table, shape.count, ids);
    ON_DEVICE(s, nadam_lazy_update, table, shape.count, index, *m->dy);
    p->end_step(s);
  };
  const Figures both = suite.measure(c);
  c.op = "embedding backward+update";
  c.target = kTarget;
  suite.difference(c, both, ends);
}

void nadam(Suite& suite, int64_t n) {
  const auto m = std::make_shared<Moments>(suite, n);
  suite.measure({.op = "nadam",
                 .version = "dense",
                 .shape = fmt::format("{} parameters", n),
                 .call =
                     [=](const Stream& s, int) {
                       ON_DEVICE(s, nadam_update, n, m->step->as<kernels::NadamStep>(), m->state());
                     },
                 .bytes = 28.0 * static_cast<double>(n),
                 .target = {.floor = 55}});
}

}  // namespace

void bench_embedding(Suite& suite) {
  const EmbeddingShape shape = {
      .classes = suite.size(36011, 100), .dim = suite.size(100, 9), .count = suite.size(4800, 33)};
  if (suite.wanted("embedding")) {
    embedding(suite, shape);
    lazy_embedding(suite, shape);
  }
  if (suite.wanted("nadam")) nadam(suite, suite.size(6'858'873, 1003));
}

}  // namespace etude::bench
