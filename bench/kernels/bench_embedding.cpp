// The embedding, its gradient, and Nadam on it and on all parameters.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/embedding.h"
#include "kernels/nadam.h"

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
  Memory(Suite& suite, const EmbeddingShape& shape, const Stream& stream)
      : table(suite, shape.classes * shape.dim) {
    for (int set = 0; set < kSets; ++set)
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
  if (suite.wanted("embedding"))
    embedding(suite, {.classes = suite.size(36011, 100),
                      .dim = suite.size(100, 9),
                      .count = suite.size(4800, 33)});
  if (suite.wanted("nadam")) nadam(suite, suite.size(6'858'873, 1003));
}

}  // namespace etude::bench
