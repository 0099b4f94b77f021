// The output layer with its loss. A training step finds its weights in memory, and leaves their
// gradients there: between two steps goes all of Nadam's state.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/vocabulary_loss.h"

namespace etude::bench {
namespace {

using kernels::VocabularyLossShape;
using kernels::VocabularyLossVersion;
using kernels::Write;

struct Version {
  VocabularyLossVersion version;
  const char* name;
};
const std::vector<Version> kVersions = {{VocabularyLossVersion::automatic, "automatic"},
                                        {VocabularyLossVersion::recompute, "recompute"},
                                        {VocabularyLossVersion::separate, "separate"}};

constexpr Target kBoth = {8, 30, 12, 8};

enum class Part { forward, backward, both };

struct Arrays {
  Arrays(const Suite& suite, const Stream& s, const VocabularyLossShape& of, int64_t weights)
      : rotation(suite.rotation(4 * weights)), memory(s), stream(s), shape(of) {
    for (int set = 0; set < rotation.sets; ++set)
      targets.push_back(memory.ids(shape.rows, shape.classes));
    x = memory.random_sets(rotation.sets, shape.rows * shape.in);
    w = memory.random_sets(rotation.sets, shape.in * shape.classes, 0.1f);
    dw = memory.random_sets(rotation.sets, shape.in * shape.classes);
    b = memory.random(shape.classes, 0.1f);
    db = memory.random(shape.classes);
    dx = memory.random(shape.rows * shape.in);
    loss = memory.random(shape.rows);
    saved = memory.random(PICK(s, vocabulary_loss_saved)(shape));
    scratch = memory.random(PICK(s, vocabulary_loss_scratch)(shape));
  }
  void forward(int i) const {
    DISPATCH(stream, vocabulary_loss_forward, shape, x[i], w[i], b, targets[i], loss, saved,
             scratch);
  }
  void backward(int i) const {
    DISPATCH(stream, vocabulary_loss_backward, shape, x[i], w[i], b, targets[i], saved, scratch,
             {dx, Write::overwrite, dw[i], Write::overwrite, db, Write::overwrite});
  }

  Rotation rotation;
  Memory memory;
  Stream stream;
  VocabularyLossShape shape;
  std::vector<int32_t*> targets;
  std::vector<float*> x, w, dw;
  float *b, *db, *dx, *loss, *saved, *scratch;
};

// Bytes: the weights in, and with backward their gradients out; between the two they may stay.
Work work(const Suite& suite, const Stream& stream, const VocabularyLossShape& shape, Part part) {
  const int64_t weights = (shape.in + 1) * shape.classes;
  const auto a = std::make_shared<Arrays>(suite, stream, shape, weights);
  const double flops = 2 * count(shape.rows * shape.in * shape.classes);
  Work work = {.sets = a->rotation.sets, .cold = a->rotation.cold};
  work.flops = flops * (part == Part::forward ? 1 : part == Part::backward ? 2 : 3);
  work.bytes = 4 * count(part == Part::forward ? weights : 2 * weights);
  if (part == Part::backward) work.before = [=](int i) { a->forward(i); };
  work.call = [=](int i) {
    if (part != Part::backward) a->forward(i);
    if (part != Part::forward) a->backward(i);
  };
  return work;
}

void add(Suite& suite, const Stream& stream, VocabularyLossShape shape, const Version& version) {
  const bool paper = shape.rows == 96 && shape.classes == 36011;
  shape.version = version.version;
  for (const Part part : {Part::forward, Part::backward, Part::both})
    suite.add({.op = part == Part::forward    ? "vocabulary_loss/forward"
                     : part == Part::backward ? "vocabulary_loss/backward"
                                              : "vocabulary_loss/both",
               .sizes = fmt::format("B:{}/in:{}/V:{}", shape.rows, shape.in, shape.classes),
               .stream = stream,
               .version = suite.on_cpu() ? "" : version.name,
               .target = paper && part == Part::both ? kBoth : Target{},
               .make = [=, &suite] { return work(suite, stream, shape, part); }});
}

}  // namespace

void bench_vocabulary_loss(Suite& suite) {
  const int64_t in = suite.size(64, 16);
  const size_t versions = suite.on_cpu() ? 1 : kVersions.size();
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::vocabulary}))
    for (size_t version = 0; version < versions; ++version)
      for (const Stream& stream : suite.streams())
        add(suite, stream, {s.batch, in, s.vocabulary}, kVersions[version]);
}

}  // namespace etude::bench
