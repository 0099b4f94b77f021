// The bidirectional GRU layer: on the CPU two calls, one each way, on devices one.

#include <fmt/format.h>

#include "bench/kernels/suite.h"
#include "kernels/gru.h"

namespace etude::bench {
namespace {

using kernels::GruShape;
using kernels::GruVersion;
using kernels::GruWeightGradients;
using kernels::GruWeights;
using kernels::Write;

struct Version {
  GruVersion version;
  const char* name;
};
const std::vector<Version> kVersions = {{GruVersion::automatic, "automatic"},
                                        {GruVersion::stepwise, "stepwise"},
                                        {GruVersion::persistent, "persistent"},
                                        {GruVersion::mma, "mma"},
                                        {GruVersion::cluster, "cluster"}};

constexpr Target kBoth = {26, 130, 63, 40};

enum class Part { forward, backward, both };
const char* op(Part part) {
  return part == Part::forward    ? "gru/forward"
         : part == Part::backward ? "gru/backward"
                                  : "gru/both";
}

struct Layer {
  Layer(const Stream& s, const GruShape& g)
      : memory(s),
        stream(s),
        shape(g),
        x(memory.random_sets(kSets, g.batch * g.time * g.in)),
        y(memory.random(g.batch * g.time * 2 * g.units)),
        dy(memory.random(g.batch * g.time * 2 * g.units, 0.01f)),
        dx(memory.random(g.batch * g.time * g.in)) {
    for (int d = 0; d < 2; ++d) {
      w[d] = {memory.random(g.in * 3 * g.units, 0.1f), memory.random(g.units * 3 * g.units, 0.1f),
              memory.random(3 * g.units, 0.1f), memory.random(3 * g.units, 0.1f)};
      dw[d] = {memory.random(g.in * 3 * g.units), memory.random(g.units * 3 * g.units),
               memory.random(3 * g.units), memory.random(3 * g.units)};
    }
  }
  virtual ~Layer() = default;
  virtual void forward(int set) const = 0;
  virtual void backward(int set) const = 0;

  Memory memory;
  Stream stream;
  GruShape shape;
  std::vector<float*> x;
  float *y, *dy, *dx;
  GruWeights w[2];
  GruWeightGradients dw[2];
};

struct HostLayer : Layer {
  HostLayer(const Stream& s, const GruShape& g) : Layer(s, g) {
    const int64_t rows = g.batch * g.time;
    for (auto& to : saved)
      to = {memory.random(rows * 3 * g.units), memory.random(rows * g.units),
            memory.random(rows * g.units)};
  }
  GruShape direction(int d) const {
    GruShape one = shape;
    one.reverse = d == 1;
    return one;
  }
  void forward(int set) const override {
    for (int d = 0; d < 2; ++d)
      kernels::cpu::gru_forward(direction(d), w[d], x[set], y + d * shape.units, 2 * shape.units,
                                saved[d]);
  }
  void backward(int set) const override {
    for (int d = 0; d < 2; ++d)
      kernels::cpu::gru_backward(
          direction(d), w[d], x[set], dy + d * shape.units, 2 * shape.units, saved[d],
          {dx, d == 0 ? Write::overwrite : Write::add, dw[d].dkernel, dw[d].drecurrent_kernel,
           dw[d].dbias, dw[d].drecurrent_bias, Write::overwrite});
  }
  kernels::cpu::GruSaved saved[2];
};

struct DeviceLayer : Layer {
  DeviceLayer(const Stream& s, const GruShape& g)
      : Layer(s, g),
        saved(memory.random(ON_DEVICE_PICK(s, bidirectional_gru_saved)(g))),
        scratch(memory.random(ON_DEVICE_PICK(s, bidirectional_gru_scratch)(g))) {}
  void forward(int set) const override {
    ON_DEVICE(stream, bidirectional_gru_forward, shape, w, x[set], y, saved, scratch);
  }
  void backward(int set) const override {
    ON_DEVICE(stream, bidirectional_gru_backward, shape, w, x[set], dy, saved, scratch, dx,
              Write::overwrite, dw, Write::overwrite);
  }
  float *saved, *scratch;
};

// Bytes: x, y and the weights in or out once, or they and their gradients; and between forward and
// backward z, r, g, the candidate and h.
void set_cost(Work& work, const GruShape& s, Part part) {
  const double rows = count(s.batch * s.time), units = count(s.units), in = count(s.in);
  const double forward = 2 * 6 * rows * units * (in + units);
  const double weights = 2 * (3 * units * (in + units) + 6 * units);
  const double once = rows * (in + 2 * units) + weights, saved = rows * 10 * units;
  work.flops = forward * (part == Part::forward ? 1 : part == Part::backward ? 2 : 3);
  const double floats = part == Part::forward    ? once + saved
                        : part == Part::backward ? 2 * once - rows * 2 * units + saved
                                                 : 3 * once - rows * 2 * units + 2 * saved;
  work.bytes = 4 * floats;
}

Work work(const Stream& stream, const GruShape& shape, Part part) {
  std::shared_ptr<Layer> layer;
  if (stream.device == kernels::Device::cpu)
    layer = std::make_shared<HostLayer>(stream, shape);
  else
    layer = std::make_shared<DeviceLayer>(stream, shape);
  Work work = {.sets = kSets};
  set_cost(work, shape, part);
  if (part == Part::backward) work.before = [=](int i) { layer->forward(i); };
  work.call = [=](int i) {
    if (part != Part::backward) layer->forward(i);
    if (part != Part::forward) layer->backward(i);
  };
  return work;
}

void add(Suite& suite, const Stream& stream, GruShape shape, const Version& version) {
  if (!suite.on_cpu() && !gru_can(stream, version.version, shape.units)) return;
  const bool paper = shape.batch == 96 && shape.in == 256 && shape.units == 128 && shape.time == 50;
  shape.version = version.version;
  for (const Part part : {Part::forward, Part::backward, Part::both})
    suite.add({.op = op(part),
               .sizes = fmt::format("B:{}/T:{}/in:{}/H:{}", shape.batch, shape.time, shape.in,
                                    shape.units),
               .stream = stream,
               .version = suite.on_cpu() ? "" : version.name,
               .target = paper && part == Part::both ? kBoth : Target{},
               .make = [=] { return work(stream, shape, part); }});
}

}  // namespace

// 256 features come from a GRU, 100 from the embedding.
void bench_gru(Suite& suite) {
  const size_t versions = suite.on_cpu() ? 1 : kVersions.size();
  for (const Sizes& s : suite.sizes({&Sizes::batch, &Sizes::time, &Sizes::units}))
    for (const int64_t in : {suite.size(256, 32), suite.size(100, 10)})
      for (size_t version = 0; version < versions; ++version)
        for (const Stream& stream : suite.streams())
          add(suite, stream, {.batch = s.batch, .time = s.time, .in = in, .units = s.units},
              kVersions[version]);
}

}  // namespace etude::bench
