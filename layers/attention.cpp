#include "engine/error.h"
#include "engine/ops.h"
#include "layers/layer.h"
#include "layers/parameters.h"

namespace etude {
namespace {

class Attention : public Layer {
 public:
  Attention(const std::string& layer, ParamSet& params, const Shape& input, int64_t heads,
            const ops::AttentionOptions& options)
      : Layer(layer),
        options_(options),
        weight_(params, layer + ".weight", {heads, input.back() / heads, input.back() / heads}),
        bias_(params, layer + ".bias", {heads}) {}

  Shape output(const Shape& input) const override { return input; }

  Tensor forward(Tape& tape, const Tensor& x) const override {
    return ops::attention(tape, x, weight_.tensor(), bias_.tensor(), options_);
  }

  void initialise(uint64_t seed) override {
    const int64_t dim = weight_.tensor().size(1);
    initial::glorot_normal(weight_.tensor(), dim, dim, weight_.random(seed));
  }

  int64_t parameters() const override { return weight_.count() + bias_.count(); }

 private:
  ops::AttentionOptions options_;
  LayerParameter weight_, bias_;
};

}  // namespace

LayerPointer make_attention(const std::string& name, ParamSet& params, const Shape& input,
                            int64_t heads, int64_t width, bool sigmoid) {
  if (input.back() % heads)
    throw Error(name + ": " + std::to_string(heads) + " heads do not divide " +
                std::to_string(input.back()) + " features");
  return std::make_unique<Attention>(name, params, input, heads,
                                     ops::AttentionOptions{width, sigmoid});
}

}  // namespace etude
