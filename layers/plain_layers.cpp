// The layers without parameters of their own.

#include "engine/ops.h"
#include "layers/layer.h"

namespace etude {
namespace {

class Dropout : public Layer {
 public:
  Dropout(const std::string& name, float rate, uint32_t stream)
      : Layer(name), rate_(rate), stream_(stream) {}
  Shape output(const Shape& input) const override { return input; }
  Tensor forward(Tape& tape, const Tensor& x) const override {
    return ops::dropout(tape, x, rate_, stream_);
  }

 private:
  float rate_;
  uint32_t stream_;
};

class Flatten : public Layer {
 public:
  using Layer::Layer;
  Shape output(const Shape& input) const override { return {count(input)}; }
  Tensor forward(Tape& tape, const Tensor& x) const override { return ops::flatten(tape, x); }
};

class Residual : public Layer {
 public:
  Residual(const std::string& name, std::vector<LayerPointer> inner)
      : Layer(name), inner_(std::move(inner)) {}
  Shape output(const Shape& input) const override { return input; }
  Tensor forward(Tape& tape, const Tensor& x) const override {
    Tensor y = x;
    for (const LayerPointer& layer : inner_) {
      const Tape::LayerScope scope(tape, layer->name());
      y = layer->forward(tape, y);
    }
    return ops::add(tape, x, y);
  }
  void initialise(uint64_t seed) override {
    for (const LayerPointer& layer : inner_) layer->initialise(seed);
  }
  int64_t parameters() const override {
    int64_t sum = 0;
    for (const LayerPointer& layer : inner_) sum += layer->parameters();
    return sum;
  }

 private:
  std::vector<LayerPointer> inner_;
};

}  // namespace

LayerPointer make_dropout(const std::string& name, float rate, uint32_t stream) {
  return std::make_unique<Dropout>(name, rate, stream);
}

LayerPointer make_flatten(const std::string& name) { return std::make_unique<Flatten>(name); }

LayerPointer make_residual(const std::string& name, std::vector<LayerPointer> inner) {
  return std::make_unique<Residual>(name, std::move(inner));
}

}  // namespace etude
