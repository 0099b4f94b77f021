// Nadam on all parameters of the largest model, on the embedding's table as TensorFlow's sparse
// update has it, and on the table together with its gradient.

#include <fmt/format.h>

#include <set>

#include "bench/kernels/optimizer_arrays.h"
#include "bench/kernels/suite.h"
#include "kernels/embedding.h"

namespace etude::bench {
namespace {

using kernels::EmbeddingShape;
using kernels::NadamState;
using kernels::NadamStep;

constexpr Target kTable = {2.5, 40, 6, 3}, kAll = {.floor = 55};
constexpr double kFlops = 14;

// Sets of states, and the step's numbers: on a device in its memory.
struct Arrays {
  Arrays(const Suite& suite, int64_t n)
      : rotation(suite.rotation(28 * n)), memory(suite.stream()), step(nadam_steps(1)[0]) {
    for (int set = 0; set < rotation.sets; ++set) states.push_back(random_state(memory, n));
    device_step = memory.copy(std::vector{step});
  }
  void update(const Stream& s, int64_t n, int i) const {
    if (s.device == kernels::Device::cpu)
      kernels::cpu::nadam_update(n, step, states[i]);
    else
      ON_DEVICE(s, nadam_update, n, device_step, states[i]);
  }
  Rotation rotation;
  Memory memory;
  NadamStep step;
  NadamStep* device_step;
  std::vector<NadamState> states;
};

Work dense(const Suite& suite, int64_t n) {
  const Stream s = suite.stream();
  const auto a = std::make_shared<Arrays>(suite, n);
  return {.sets = a->rotation.sets,
          .cold = a->rotation.cold,
          .flops = kFlops * count(n),
          .bytes = 28 * count(n),
          .call = [=](int i) { a->update(s, n, i); }};
}

// A table, with a minibatch's ids and what the gradient is made of.
struct Table : Arrays {
  Table(const Suite& suite, const EmbeddingShape& shape)
      : Arrays(suite, shape.classes * shape.dim),
        dy(memory.random(shape.count * shape.dim, 0.01f)) {
    const std::vector<int32_t> values = memory.random_ids(shape.count, shape.classes);
    named = std::ssize(std::set(values.begin(), values.end()));
    ids = memory.copy(values);
    if (suite.on_cpu()) return;
    const Stream s = suite.stream();
    const auto size = ON_DEVICE_PICK(s, embedding_index_size)(shape);
    index = memory.copy(std::vector<int32_t>(static_cast<size_t>(size)));
    ON_DEVICE(s, embedding_index, shape, ids, index);
  }
  float* gradient(int i) const { return const_cast<float*>(states[i].g); }
  int64_t named = 0;  // rows
  float* dy;
  int32_t *ids, *index = nullptr;
};

// The gradient and both moments of all rows, the parameters of those that are named.
Work sparse(const Suite& suite, const EmbeddingShape& shape) {
  const Stream s = suite.stream();
  const auto t = std::make_shared<Table>(suite, shape);
  const double n = count(shape.classes * shape.dim);
  Work work = {.sets = t->rotation.sets,
               .cold = t->rotation.cold,
               .flops = kFlops * n,
               .bytes = 20 * n + 8 * count(t->named * shape.dim)};
  if (suite.on_cpu())
    work.call = [=](int i) {
      kernels::cpu::nadam_update_sparse(shape.classes, shape.dim, shape.count, t->ids, t->step,
                                        t->states[i]);
    };
  else
    work.call = [=](int i) {
      ON_DEVICE(s, nadam_update_sparse, shape, t->index, t->device_step, t->states[i]);
    };
  return work;
}

// What a step does with the table after the layers' backward. The bits can be had for the named
// rows' bytes alone: nadam_lazy.h.
Work dense_table(const Suite& suite, const EmbeddingShape& shape) {
  using kernels::Write;
  const Stream s = suite.stream();
  const auto t = std::make_shared<Table>(suite, shape);
  const int64_t n = shape.classes * shape.dim;
  return {.sets = t->rotation.sets,
          .cold = t->rotation.cold,
          .flops = kFlops * count(n),
          .bytes = 28 * count(n),
          .call = [=](int i) {
            if (s.device == kernels::Device::cpu) {
              kernels::cpu::embedding_backward(shape, t->ids, t->dy, t->gradient(i),
                                               Write::overwrite);
            } else {
              ON_DEVICE(s, embedding_index, shape, t->ids, t->index);
              ON_DEVICE(s, embedding_backward, shape, t->index, t->dy, t->gradient(i),
                        Write::overwrite);
            }
            t->update(s, n, i);
          }};
}

}  // namespace

void bench_nadam(Suite& suite) {
  const int64_t all = suite.size(6'858'873, 1003), dim = suite.size(100, 9);
  suite.add({.op = "nadam/dense",
             .sizes = fmt::format("n:{}", all),
             .stream = suite.stream(),
             .target = all > 1'000'000 ? kAll : Target{},
             .make = [=, &suite] { return dense(suite, all); }});
  for (const Sizes& s : suite.sizes({&Sizes::vocabulary})) {
    const EmbeddingShape shape = {s.vocabulary, dim, s.batch * s.time};
    const std::string sizes =
        fmt::format("B:{}/T:{}/V:{}/dim:{}", s.batch, s.time, s.vocabulary, dim);
    suite.add({.op = "nadam/sparse", .sizes = sizes, .stream = suite.stream(), .make = [=, &suite] {
                 return sparse(suite, shape);
               }});
    suite.add({.op = "embedding_update/dense",
               .sizes = sizes,
               .stream = suite.stream(),
               .target = s.vocabulary == 36011 ? kTable : Target{},
               .make = [=, &suite] { return dense_table(suite, shape); }});
  }
}

}  // namespace etude::bench
