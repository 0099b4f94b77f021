// The recurrence of a bidirectional GRU alone, in each of the devices' versions. Issue 3's targets
// are microseconds a step: here times the steps of a call.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/gru_recurrence.h"

namespace etude::bench {
namespace {

using kernels::GruRecurrence;
using kernels::GruVersion;

constexpr Target kForward = {0.13, 1.0, 0.5, 0.3};
constexpr Target kBackward = {0.26, 1.2, 0.55, 0.35};

Target of_steps(const Target& step, int64_t steps) {
  const double n = count(steps);
  return {step.floor * n, step.must * n, step.aim * n, step.moon * n};
}

struct Version {
  GruVersion version;
  const char* name;
};
const std::vector<Version> kVersions = {{GruVersion::stepwise, "stepwise"},
                                        {GruVersion::persistent, "persistent"},
                                        {GruVersion::mma, "mma"},
                                        {GruVersion::cluster, "cluster"}};

// Inputs by turns, weights and output.
struct Arrays {
  Arrays(const Stream& s, const Sizes& sizes) : memory(s), stream(s) {
    const int64_t rows = sizes.batch * sizes.time, h = sizes.units;
    of.batch = sizes.batch;
    of.time = sizes.time;
    of.units = h;
    for (int d = 0; d < 2; ++d) {
      projected[d] = memory.random_sets(kSets, rows * 3 * h);
      of.recurrent_kernel[d] = memory.random(3 * h * h, 0.1f);
      of.recurrent_bias[d] = memory.random(3 * h, 0.1f);
      of.saved[d] = memory.random(rows * 5 * h);
    }
    of.y = memory.random(rows * 2 * h);
    of.dy = memory.random(rows * 2 * h, 0.01f);
    scratch = memory.random(2 * sizes.batch * 5 * h);
  }
  GruRecurrence set(int number) const {
    GruRecurrence r = of;
    for (int d = 0; d < 2; ++d) r.projected[d] = projected[d][number];
    return r;
  }
  Memory memory;
  Stream stream;
  std::vector<float*> projected[2];
  float* scratch;
  GruRecurrence of = {};
};

void forward(GruVersion version, const Arrays& a, int set) {
  const GruRecurrence r = a.set(set);
  switch (version) {
    case GruVersion::persistent:
      return ON_DEVICE(a.stream, gru_persistent_forward, r);
    case GruVersion::mma:
      return ON_DEVICE(a.stream, gru_mma_forward, r);
    case GruVersion::cluster:
      return ON_DEVICE(a.stream, gru_cluster_forward, r);
    default:
      return ON_DEVICE(a.stream, gru_stepwise_forward, r, a.scratch);
  }
}

void backward(GruVersion version, const Arrays& a, int set) {
  const GruRecurrence r = a.set(set);
  switch (version) {
    case GruVersion::persistent:
      return ON_DEVICE(a.stream, gru_persistent_backward, r);
    case GruVersion::mma:
      return ON_DEVICE(a.stream, gru_mma_backward, r);
    case GruVersion::cluster:
      return ON_DEVICE(a.stream, gru_cluster_backward, r);
    default:
      return ON_DEVICE(a.stream, gru_stepwise_backward, r, a.scratch);
  }
}

// Bytes: x W and y, or dy and the gradients of the sums; z, r, g, the candidate and h; the weights.
Work work(const Stream& stream, const Sizes& s, GruVersion version, bool is_backward) {
  const auto arrays = std::make_shared<Arrays>(stream, s);
  const double flops = 2 * 6 * count(s.batch * s.time * s.units * s.units);
  const int64_t row = is_backward ? 2 + 10 + 8 : 6 + 2 + 10;
  Work work = {.sets = kSets,
               .flops = is_backward ? 2 * flops : flops,
               .bytes = 4 * count(s.batch * s.time * row * s.units + 6 * s.units * s.units)};
  if (is_backward) {
    work.before = [=](int i) { forward(version, *arrays, i); };
    work.call = [=](int i) { backward(version, *arrays, i); };
  } else {
    work.call = [=](int i) { forward(version, *arrays, i); };
  }
  return work;
}

}  // namespace

bool gru_can(const Stream& s, GruVersion version, int64_t units) {
  switch (version) {
    case GruVersion::persistent:
      return s.precision == Precision::fp32 && ON_DEVICE(s, gru_persistent_fits, units);
    case GruVersion::mma:
      return s.precision != Precision::fp32 && ON_DEVICE(s, gru_mma_fits, units);
    case GruVersion::cluster:
      return s.precision != Precision::fp32 && ON_DEVICE(s, gru_cluster_fits, units);
    default:
      return true;
  }
}

void bench_gru_recurrence(Suite& suite) {
  if (suite.on_cpu()) return;  // there it is part of the layer
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units}))
    for (const Version& v : kVersions)
      for (const Stream& stream : suite.streams())
        for (const bool is_backward : {false, true}) {
          if (!gru_can(stream, v.version, s.units)) continue;
          const bool paper = s.batch == 96 && s.units == 128 && s.time == 50;
          suite.add(
              {.op = is_backward ? "gru_recurrence/backward" : "gru_recurrence/forward",
               .sizes = fmt::format("B:{}/T:{}/H:{}", s.batch, s.time, s.units),
               .stream = stream,
               .version = v.name,
               .target = paper ? of_steps(is_backward ? kBackward : kForward, s.time) : Target{},
               .make = [=] { return work(stream, s, v.version, is_backward); }});
        }
}

}  // namespace etude::bench
