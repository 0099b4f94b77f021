// Bidirectional GRU: the recurrence alone, in each version, and the whole layer.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/gru.h"
#include "kernels/gru_recurrence.h"

namespace etude::bench {
namespace {

using kernels::GruShape;
using kernels::GruVersion;

constexpr Target kForward = {0.13, 1.0, 0.5, 0.3};
constexpr Target kBackward = {0.26, 1.2, 0.55, 0.35};
constexpr Target kLayer = {26, 130, 63, 40};

struct Sizes {
  int64_t batch, time, units;
  double flops() const {  // forward, both directions, of the recurrence
    return 2 * 6.0 * static_cast<double>(batch * time * units * units);
  }
  std::string text() const { return fmt::format("B {} T {} H {}", batch, time, units); }
};

// Inputs by turns, weights and output of one recurrence.
struct Recurrence {
  Recurrence(Suite& suite, const Sizes& s) {
    for (int i = 0; i < 2 * kSets; ++i)
      projected.push_back(suite.random(s.batch * s.time * 3 * s.units));
    for (int direction = 0; direction < 2; ++direction) {
      kernel.push_back(suite.random(3 * s.units * s.units, 0.1f));
      bias.push_back(suite.random(3 * s.units, 0.1f));
      saved.push_back(suite.random(s.batch * s.time * 5 * s.units));
    }
    y = suite.random(s.batch * s.time * 2 * s.units);
    dy = suite.random(s.batch * s.time * 2 * s.units, 0.01f);
    scratch = suite.random(2 * s.batch * 5 * s.units);
    of.batch = s.batch;
    of.time = s.time;
    of.units = s.units;
    for (size_t d = 0; d < 2; ++d) {
      of.recurrent_kernel[d] = *kernel[d];
      of.recurrent_bias[d] = *bias[d];
      of.saved[d] = *saved[d];
    }
    of.y = *y;
    of.dy = *dy;
  }
  kernels::GruRecurrence set(int number) const {
    kernels::GruRecurrence r = of;
    for (size_t d = 0; d < 2; ++d) r.projected[d] = *projected[2 * static_cast<size_t>(number) + d];
    return r;
  }

  std::vector<Shared> projected, kernel, bias, saved;
  Shared y, dy, scratch;
  kernels::GruRecurrence of = {};
};

void forward(const Stream& s, GruVersion version, const Recurrence& memory, int set) {
  const kernels::GruRecurrence r = memory.set(set);
  switch (version) {
    case GruVersion::persistent:
      return ON_DEVICE(s, gru_persistent_forward, r);
    case GruVersion::mma:
      return ON_DEVICE(s, gru_mma_forward, r);
    case GruVersion::cluster:
      return ON_DEVICE(s, gru_cluster_forward, r);
    default:
      return ON_DEVICE(s, gru_stepwise_forward, r, *memory.scratch);
  }
}

void backward(const Stream& s, GruVersion version, const Recurrence& memory, int set) {
  const kernels::GruRecurrence r = memory.set(set);
  switch (version) {
    case GruVersion::persistent:
      return ON_DEVICE(s, gru_persistent_backward, r);
    case GruVersion::mma:
      return ON_DEVICE(s, gru_mma_backward, r);
    case GruVersion::cluster:
      return ON_DEVICE(s, gru_cluster_backward, r);
    default:
      return ON_DEVICE(s, gru_stepwise_backward, r, *memory.scratch);
  }
}

bool can(const Stream& s, GruVersion version, int64_t units) {
  switch (version) {
    case GruVersion::persistent:
      return s.precision == Precision::fp32 && ON_DEVICE(s, gru_persistent_fits, units);
    case GruVersion::mma:
      return s.precision != Precision::fp32 && ON_DEVICE(s, gru_mma_fits, units);
    case GruVersion::cluster:
      return ON_DEVICE(s, gru_cluster_fits, units);
    default:
      return true;
  }
}

struct Version {
  GruVersion version;
  const char* name;
};
constexpr Version kVersions[] = {{GruVersion::stepwise, "stepwise"},
                                 {GruVersion::persistent, "persistent"},
                                 {GruVersion::mma, "mma"},
                                 {GruVersion::cluster, "cluster"}};

// Backward needs what forward has just left, and spoils it: it is the pair without forward.
void recurrence(Suite& suite, const Sizes& sizes, const Version& v, Precision precision) {
  if (!can(suite.stream(precision), v.version, sizes.units)) return;
  const bool paper = sizes.units == 128 && sizes.batch == 96;
  const auto memory = std::make_shared<Recurrence>(suite, sizes);
  Case c = {.op = "gru recurrence forward",
            .version = v.name,
            .shape = sizes.text(),
            .precision = precision,
            .call = [=](const Stream& s, int set) { forward(s, v.version, *memory, set); },
            .steps = sizes.time,
            .flops = sizes.flops(),
            .target = paper ? kForward : Target{}};
  const Figures alone = suite.measure(c);
  c.op = "gru recurrence both";
  c.flops *= 3;
  c.target = {};
  c.call = [=](const Stream& s, int set) {
    forward(s, v.version, *memory, set);
    backward(s, v.version, *memory, set);
  };
  const Figures both = suite.measure(c);
  c.op = "gru recurrence backward";
  c.flops = 2 * sizes.flops();
  c.target = paper ? kBackward : Target{};
  suite.difference(c, both, alone);
}

// One layer's weights of both directions, or their gradients: in the order of GruWeights.
std::vector<Shared> weights(Suite& suite, const GruShape& shape) {
  std::vector<Shared> arrays;
  for (int direction = 0; direction < 2; ++direction) {
    arrays.push_back(suite.random(shape.in * 3 * shape.units, 0.1f));
    arrays.push_back(suite.random(shape.units * 3 * shape.units, 0.1f));
    arrays.push_back(suite.random(3 * shape.units, 0.1f));
    arrays.push_back(suite.random(3 * shape.units, 0.1f));
  }
  return arrays;
}

struct Layer {
  Layer(Suite& suite, const GruShape& s, const Stream& stream)
      : shape(s), w(weights(suite, s)), dw(weights(suite, s)) {
    for (int set = 0; set < kSets; ++set) x.push_back(suite.random(s.batch * s.time * s.in));
    y = suite.random(s.batch * s.time * 2 * s.units);
    dy = suite.random(s.batch * s.time * 2 * s.units, 0.01f);
    dx = suite.random(s.batch * s.time * s.in);
    saved = suite.random(OF_DEVICE(stream, bidirectional_gru_saved, s));
    scratch = suite.random(OF_DEVICE(stream, bidirectional_gru_scratch, s));
  }
  void forward(const Stream& s, int set) const {
    const kernels::GruWeights both[2] = {{*w[0], *w[1], *w[2], *w[3]},
                                         {*w[4], *w[5], *w[6], *w[7]}};
    ON_DEVICE(s, bidirectional_gru_forward, shape, both, *x[static_cast<size_t>(set)], *y, *saved,
              *scratch);
  }
  void backward(const Stream& s, int set) const {
    const kernels::GruWeights both[2] = {{*w[0], *w[1], *w[2], *w[3]},
                                         {*w[4], *w[5], *w[6], *w[7]}};
    const kernels::GruWeightGradients gradients[2] = {{*dw[0], *dw[1], *dw[2], *dw[3]},
                                                      {*dw[4], *dw[5], *dw[6], *dw[7]}};
    ON_DEVICE(s, bidirectional_gru_backward, shape, both, *x[static_cast<size_t>(set)], *dy, *saved,
              *scratch, *dx, kernels::Write::overwrite, gradients, kernels::Write::overwrite);
  }

  GruShape shape;
  std::vector<Shared> w, dw, x;
  Shared y, dy, dx, saved, scratch;
};

void layer(Suite& suite, GruShape shape, const Version& v, Precision precision) {
  shape.version = v.version;
  const auto memory = std::make_shared<Layer>(suite, shape, suite.stream(precision));
  const double flops =
      2 * 6.0 *
      static_cast<double>(shape.batch * shape.time * shape.units * (shape.in + shape.units));
  Case c = {.op = "gru layer forward",
            .version = v.name,
            .shape = fmt::format("B {} T {} {}>{}", shape.batch, shape.time, shape.in, shape.units),
            .precision = precision,
            .call = [=](const Stream& s, int set) { memory->forward(s, set); },
            .flops = flops};
  suite.measure(c);
  c.op = "gru layer both";
  c.flops = 3 * flops;
  c.target = shape.in == 256 && shape.units == 128 ? kLayer : Target{};
  c.call = [=](const Stream& s, int set) {
    memory->forward(s, set);
    memory->backward(s, set);
  };
  suite.measure(c);
}

}  // namespace

void bench_gru(Suite& suite) {
  if (!suite.wanted("gru")) return;
  const int64_t batch = suite.size(96, 9), time = suite.size(50, 3);
  for (const int64_t units : {suite.size(128, 16), suite.size(256, 0), suite.size(512, 0)})
    for (const Version& version : kVersions)
      for (const Precision precision : kPrecisions)
        if (units > 0) recurrence(suite, {batch, time, units}, version, precision);
  for (const int64_t in : {suite.size(256, 32), suite.size(100, 10)})
    for (const Precision precision : kPrecisions)
      layer(suite, {.batch = batch, .time = time, .in = in, .units = suite.size(128, 16)},
            {GruVersion::automatic, "automatic"}, precision);
}

}  // namespace etude::bench
