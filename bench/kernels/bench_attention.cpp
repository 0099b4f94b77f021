// Self-attention, forward and with backward, on 256 features (after a GRU) and 100 (an embedding).

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/attention.h"

namespace etude::bench {
namespace {

using kernels::AttentionShape;

struct Version {
  kernels::AttentionVersion version;
  const char* name;
};
constexpr Version kVersions[] = {{kernels::AttentionVersion::automatic, "automatic"},
                                 {kernels::AttentionVersion::window, "window"},
                                 {kernels::AttentionVersion::tiled, "tiled"},
                                 {kernels::AttentionVersion::simple, "simple"}};

constexpr Target kTarget = {7, 60, 24, 12};

struct Memory {
  Memory(Suite& suite, const AttentionShape& shape, const Stream& stream) {
    const int64_t states = shape.batch * shape.time * shape.features;
    const int64_t square = shape.features * shape.features / shape.heads;
    for (int set = 0; set < kSets; ++set) x.push_back(suite.random(states));
    wa = suite.random(square, 0.1f);
    dwa = suite.random(square);
    ba = suite.random(shape.heads, 0.1f);
    dba = suite.random(shape.heads);
    y = suite.random(states);
    dy = suite.random(states, 0.01f);
    dx = suite.random(states);
    saved = suite.random(ON_DEVICE(stream, attention_saved, shape, {}));
    scratch = suite.random(ON_DEVICE(stream, attention_scratch, shape, {}));
  }
  std::vector<Shared> x;
  Shared wa, dwa, ba, dba, y, dy, dx, saved, scratch;
};

void forward(const Stream& s, const AttentionShape& shape, const Memory& m, int set) {
  ON_DEVICE(s, attention_forward, shape, {*m.wa, *m.ba}, {}, *m.x[static_cast<size_t>(set)], *m.y,
            *m.saved);
}

void backward(const Stream& s, const AttentionShape& shape, const Memory& m, int set) {
  using kernels::Write;
  ON_DEVICE(s, attention_backward, shape, {*m.wa, *m.ba}, {}, *m.x[static_cast<size_t>(set)], *m.y,
            *m.dy, *m.saved, *m.scratch,
            {*m.dx, Write::overwrite, *m.dwa, Write::overwrite, *m.dba, Write::overwrite});
}

void measure(Suite& suite, AttentionShape shape, const Version& version, Precision precision) {
  shape.version = version.version;
  const auto memory = std::make_shared<Memory>(suite, shape, suite.stream(precision));
  const double rows = static_cast<double>(shape.batch * shape.time * shape.features);
  const double flops = rows * (2.0 * static_cast<double>(shape.features / shape.heads) +
                               4.0 * static_cast<double>(shape.time));
  Case c = {.op = "attention forward",
            .version = version.name,
            .shape = fmt::format("B {} T {} F {}", shape.batch, shape.time, shape.features),
            .precision = precision,
            .call = [=](const Stream& s, int set) { forward(s, shape, *memory, set); },
            .flops = flops};
  suite.measure(c);
  c.op = "attention both";
  c.flops = 3 * flops;
  c.target = shape.features == 256 ? kTarget : Target{};
  c.call = [=](const Stream& s, int set) {
    forward(s, shape, *memory, set);
    backward(s, shape, *memory, set);
  };
  suite.measure(c);
}

}  // namespace

void bench_attention(Suite& suite) {
  if (!suite.wanted("attention")) return;
  AttentionShape shape = {.batch = suite.size(96, 3), .time = suite.size(50, 9), .features = 0};
  shape.width = suite.size(50, 9);
  for (const int64_t features : {suite.size(256, 16), suite.size(100, 10)})
    for (const Version& version : kVersions)
      for (const Precision precision : kPrecisions) {
        shape.features = features;
        measure(suite, shape, version, precision);
      }
}

}  // namespace etude::bench
