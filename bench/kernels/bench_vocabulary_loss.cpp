// The output layer with its loss.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/vocabulary_loss.h"

namespace etude::bench {
namespace {

using kernels::VocabularyLossShape;
using kernels::Write;

struct Version {
  kernels::VocabularyLossVersion version;
  const char* name;
};
constexpr Version kVersions[] = {{kernels::VocabularyLossVersion::automatic, "automatic"},
                                 {kernels::VocabularyLossVersion::recompute, "recompute"},
                                 {kernels::VocabularyLossVersion::separate, "separate"}};

constexpr Target kTarget = {8, 30, 12, 8};

struct Memory {
  Memory(Suite& suite, const VocabularyLossShape& shape, const Stream& stream) {
    for (int set = 0; set < kSets; ++set) {
      x.push_back(suite.random(shape.rows * shape.in));
      targets.push_back(suite.random_ids(shape.rows, shape.classes));
    }
    w = suite.random(shape.in * shape.classes, 0.1f);
    b = suite.random(shape.classes, 0.1f);
    dx = suite.random(shape.rows * shape.in);
    dw = suite.random(shape.in * shape.classes);
    db = suite.random(shape.classes);
    loss = suite.random(shape.rows);
    saved = suite.random(OF_DEVICE(stream, vocabulary_loss_saved, shape));
    scratch = suite.random(OF_DEVICE(stream, vocabulary_loss_scratch, shape));
  }
  kernels::DenseGradients gradients() const {
    return {*dx, Write::overwrite, *dw, Write::overwrite, *db, Write::overwrite};
  }
  std::vector<Shared> x, targets;
  Shared w, b, dx, dw, db, loss, saved, scratch;
};

void forward(const Stream& s, const VocabularyLossShape& shape, const Memory& m, size_t set) {
  ON_DEVICE(s, vocabulary_loss_forward, shape, *m.x[set], *m.w, *m.b, m.targets[set]->as<int32_t>(),
            *m.loss, *m.saved, *m.scratch);
}

void backward(const Stream& s, const VocabularyLossShape& shape, const Memory& m, size_t set) {
  ON_DEVICE(s, vocabulary_loss_backward, shape, *m.x[set], *m.w, *m.b,
            m.targets[set]->as<int32_t>(), *m.saved, *m.scratch, m.gradients());
}

void measure(Suite& suite, VocabularyLossShape shape, const Version& version, Precision precision) {
  shape.version = version.version;
  const auto memory = std::make_shared<Memory>(suite, shape, suite.stream(precision));
  const double flops = 2.0 * static_cast<double>(shape.rows * shape.in * shape.classes);
  const double weights = 4.0 * static_cast<double>((shape.in + 1) * shape.classes);
  Case c = {.op = "vocabulary loss forward",
            .version = version.name,
            .shape = fmt::format("{} x {} > {}", shape.rows, shape.in, shape.classes),
            .precision = precision,
            .call = [=](const Stream& s,
                        int set) { forward(s, shape, *memory, static_cast<size_t>(set)); },
            .flops = flops,
            .bytes = weights};
  suite.measure(c);
  c.op = "vocabulary loss both";
  c.flops = 3 * flops;
  c.bytes = 2 * weights;  // read once, gradients written once
  c.target = kTarget;
  c.call = [=](const Stream& s, int set) {
    forward(s, shape, *memory, static_cast<size_t>(set));
    backward(s, shape, *memory, static_cast<size_t>(set));
  };
  suite.measure(c);
}

}  // namespace

void bench_vocabulary_loss(Suite& suite) {
  if (!suite.wanted("vocabulary loss")) return;
  const VocabularyLossShape shape = {suite.size(96, 9), suite.size(64, 16), suite.size(36011, 100)};
  for (const Version& version : kVersions)
    for (const Precision precision : kPrecisions) measure(suite, shape, version, precision);
}

}  // namespace etude::bench
