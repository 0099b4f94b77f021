#include "engine/ops.h"
#include "layers/layer.h"
#include "layers/parameters.h"

namespace etude {
namespace {

class Dense : public Layer {
 public:
  Dense(const std::string& layer, ParamSet& params, const Shape& input, int64_t out,
        std::optional<ThenLeakyRelu> activation)
      : Layer(layer),
        activation_(std::move(activation)),
        weight_(params, layer + ".weight", {input.back(), out}),
        bias_(params, layer + ".bias", {out}) {}

  Shape output(const Shape& input) const override {
    Shape shape = input;
    shape.back() = bias_.count();
    return shape;
  }

  Tensor forward(Tape& tape, const Tensor& x) const override {
    if (!activation_) return ops::dense(tape, x, weight_.tensor(), bias_.tensor());
    return ops::dense_leaky_relu(tape, x, weight_.tensor(), bias_.tensor(), activation_->slope);
  }

  void initialise(uint64_t seed) override {
    const Tensor weight = weight_.tensor();
    initial::glorot_uniform(weight, weight.size(0), weight.size(1), weight_.random(seed));
  }

  int64_t parameters() const override { return weight_.count() + bias_.count(); }

  std::vector<std::string> fused() const override {
    if (!activation_) return {};
    return {activation_->name};
  }

 private:
  std::optional<ThenLeakyRelu> activation_;
  LayerParameter weight_, bias_;
};

}  // namespace

LayerPointer make_dense(const std::string& name, ParamSet& params, const Shape& input, int64_t out,
                        std::optional<ThenLeakyRelu> activation) {
  return std::make_unique<Dense>(name, params, input, out, std::move(activation));
}

}  // namespace etude
