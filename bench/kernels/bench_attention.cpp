// Self-attention on 256 features (after a GRU) and 100 (an embedding).

#include <fmt/format.h>

#include <algorithm>

#include "bench/kernels/suite.h"
#include "kernels/attention.h"

namespace etude::bench {
namespace {

using kernels::AttentionShape;
using kernels::AttentionVersion;
using kernels::Write;

struct Version {
  AttentionVersion version;
  const char* name;
};
const std::vector<Version> kVersions = {{AttentionVersion::automatic, "automatic"},
                                        {AttentionVersion::window, "window"},
                                        {AttentionVersion::tiled, "tiled"},
                                        {AttentionVersion::simple, "simple"}};

constexpr Target kBoth = {7, 60, 24, 12};

enum class Part { forward, backward, both };

struct Arrays {
  Arrays(const Stream& s, const AttentionShape& a) : memory(s), stream(s), shape(a) {
    const int64_t states = a.batch * a.time * a.features;
    const int64_t square = a.features * a.features / a.heads;
    x = memory.random_sets(kSets, states);
    y = memory.random(states);
    dy = memory.random(states, 0.01f);
    dx = memory.random(states);
    wa = memory.random(square, 0.1f);
    ba = memory.random(a.heads, 0.1f);
    dwa = memory.random(square);
    dba = memory.random(a.heads);
    if (s.device != kernels::Device::cpu) {
      saved = memory.random(ON_DEVICE(s, attention_saved, a, {}));
      scratch = memory.random(ON_DEVICE(s, attention_scratch, a, {}));
      return;
    }
    const int64_t scores = a.batch * a.heads * a.time * a.time;
    host_saved = {memory.random(states), memory.random(scores), memory.random(scores)};
  }
  void forward(int i) const {
    if (stream.device == kernels::Device::cpu)
      return kernels::cpu::attention_forward(shape, {wa, ba}, x[i], y, host_saved);
    ON_DEVICE(stream, attention_forward, shape, {wa, ba}, {}, x[i], y, saved);
  }
  void backward(int i) const {
    const kernels::AttentionGradients to = {dx,  Write::overwrite, dwa, Write::overwrite,
                                            dba, Write::overwrite};
    if (stream.device == kernels::Device::cpu)
      return kernels::cpu::attention_backward(shape, {wa, ba}, x[i], dy, host_saved, to);
    ON_DEVICE(stream, attention_backward, shape, {wa, ba}, {}, x[i], y, dy, saved, scratch, to);
  }

  Memory memory;
  Stream stream;
  AttentionShape shape;
  std::vector<float*> x;
  float *y, *dy, *dx, *wa, *ba, *dwa, *dba, *saved = nullptr, *scratch = nullptr;
  kernels::cpu::AttentionSaved host_saved = {};
};

// Bytes: x, y and the weights; x, dy, dx, the weights and their gradients.
Work work(const Stream& stream, const AttentionShape& s, Part part) {
  const auto a = std::make_shared<Arrays>(stream, s);
  const double states = count(s.batch * s.time * s.features);
  const double forward = states * (2 * count(s.features / s.heads) + 4 * count(s.time));
  const double square = count(s.features * s.features / s.heads);
  const double in = 2 * states + square, back = 3 * states + 2 * square;
  Work work = {.sets = kSets};
  work.flops = forward * (part == Part::forward ? 1 : part == Part::backward ? 2 : 3);
  work.bytes = 4 * (part == Part::forward ? in : part == Part::backward ? back : in + back);
  if (part == Part::backward) work.before = [=](int i) { a->forward(i); };
  work.call = [=](int i) {
    if (part != Part::backward) a->forward(i);
    if (part != Part::forward) a->backward(i);
  };
  return work;
}

void add(Suite& suite, const Stream& stream, AttentionShape shape, const Version& version) {
  const bool paper =
      shape.batch == 96 && shape.features == 256 && shape.time == 50 && shape.heads == 1;
  shape.version = version.version;
  for (const Part part : {Part::forward, Part::backward, Part::both})
    suite.add({.op = part == Part::forward    ? "attention/forward"
                     : part == Part::backward ? "attention/backward"
                                              : "attention/both",
               .sizes = fmt::format("B:{}/T:{}/F:{}/heads:{}", shape.batch, shape.time,
                                    shape.features, shape.heads),
               .stream = stream,
               .version = suite.on_cpu() ? "" : version.name,
               .target = paper && part == Part::both ? kBoth : Target{},
               .make = [=] { return work(stream, shape, part); }});
}

}  // namespace

void bench_attention(Suite& suite) {
  const size_t versions = suite.on_cpu() ? 1 : kVersions.size();
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::heads}))
    for (const int64_t features : {suite.size(256, 16), suite.size(100, 12)})
      for (size_t version = 0; version < versions; ++version)
        for (const Stream& stream : suite.streams())
          add(suite, stream,
              {.batch = s.batch,
               .time = s.time,
               .features = features,
               .heads = s.heads,
               .width = std::min<int64_t>(50, s.time)},
              kVersions[version]);
}

}  // namespace etude::bench
