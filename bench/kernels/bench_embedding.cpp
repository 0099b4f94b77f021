// The embedding and its gradient. A training step finds the table in memory: all of Nadam's state
// has gone through the caches since.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/embedding.h"

namespace etude::bench {
namespace {

using kernels::EmbeddingShape;
using kernels::Write;

enum class Part { forward, index, backward };

struct Arrays {
  Arrays(const Suite& suite, const EmbeddingShape& shape)
      : rotation(suite.rotation(4 * shape.classes * shape.dim)), memory(suite.stream()) {
    table = memory.random_sets(rotation.sets, shape.classes * shape.dim);
    for (int set = 0; set < rotation.sets; ++set)
      ids.push_back(memory.ids(shape.count, shape.classes));
    y = memory.random_sets(rotation.sets, shape.count * shape.dim);
  }
  Rotation rotation;
  Memory memory;
  std::vector<float*> table, y;
  std::vector<int32_t*> ids;
};

// A device's backward reads the ids in ascending order, made by embedding_index.
std::vector<int32_t*> make_indices(Arrays& a, const Stream& s, const EmbeddingShape& shape) {
  std::vector<int32_t*> indices;
  for (int32_t* ids : a.ids) {
    const auto size = ON_DEVICE_PICK(s, embedding_index_size)(shape);
    indices.push_back(a.memory.copy(std::vector<int32_t>(static_cast<size_t>(size))));
    ON_DEVICE(s, embedding_index, shape, ids, indices.back());
  }
  return indices;
}

Work work(const Suite& suite, const EmbeddingShape& shape, Part part) {
  const Stream s = suite.stream();
  const auto a = std::make_shared<Arrays>(suite, shape);
  const double rows = 4 * count(shape.count * shape.dim), ids = 4 * count(shape.count);
  const double table = 4 * count(shape.classes * shape.dim);
  Work work = {.sets = a->rotation.sets, .cold = a->rotation.cold};
  if (part == Part::forward) {
    work.bytes = 2 * rows + ids;
    work.call = [=](int i) {
      DISPATCH(s, embedding_forward, shape, a->table[i], a->ids[i], a->y[i]);
    };
    return work;
  }
  if (part == Part::backward) {
    work.flops = count(shape.count * shape.dim);
    work.bytes = rows + ids + table;
  }
  if (part == Part::index) work.bytes = 2 * ids;
  if (suite.on_cpu()) {
    work.call = [=](int i) {
      kernels::cpu::embedding_backward(shape, a->ids[i], a->y[i], a->table[i], Write::overwrite);
    };
    return work;
  }
  const auto indices = make_indices(*a, s, shape);
  if (part == Part::index)
    work.call = [=](int i) { ON_DEVICE(s, embedding_index, shape, a->ids[i], indices[i]); };
  else
    work.call = [=](int i) {
      ON_DEVICE(s, embedding_backward, shape, indices[i], a->y[i], a->table[i], Write::overwrite);
    };
  return work;
}

}  // namespace

void bench_embedding(Suite& suite) {
  const int64_t dim = suite.size(100, 9);
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::vocabulary}))
    for (const Part part : {Part::forward, Part::index, Part::backward}) {
      if (suite.on_cpu() && part == Part::index) continue;
      const EmbeddingShape shape = {s.vocabulary, dim, s.batch * s.time};
      suite.add({.op = part == Part::forward ? "embedding/forward"
                       : part == Part::index ? "embedding/index"
                                             : "embedding/backward",
                 .sizes = fmt::format("B:{}/T:{}/V:{}/dim:{}", s.batch, s.time, s.vocabulary, dim),
                 .stream = suite.stream(),
                 .make = [=, &suite] { return work(suite, shape, part); }});
    }
}

}  // namespace etude::bench
