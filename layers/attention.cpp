#include "engine/error.h"
#include "engine/ops.h"
#include "layers/layer.h"
#include "layers/parameters.h"

namespace etude {
namespace {

class Attention : public Layer {
 public:
  Attention(const std::string& layer, ParamSet& params, const Shape& input, int64_t heads,
            const ops::AttentionOptions& options, std::string dropout)
      : Layer(layer),
        options_(options),
        dropout_(std::move(dropout)),
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

  std::vector<std::string> fused() const override {
    if (dropout_.empty()) return {};
    return {dropout_};
  }

 private:
  ops::AttentionOptions options_;
  std::string dropout_;  // its name, or nothing
  LayerParameter weight_, bias_;
};

}  // namespace

LayerPointer make_attention(const std::string& name, ParamSet& params, const Shape& input,
                            int64_t heads, int64_t width, bool sigmoid,
                            std::optional<ThenDropout> dropout) {
  if (input.back() % heads)
    throw Error(name + ": " + std::to_string(heads) + " heads do not divide " +
                std::to_string(input.back()) + " features");
  ops::AttentionOptions options{width, sigmoid};
  if (dropout) options.dropout = dropout->rate, options.dropout_stream = dropout->stream;
  return std::make_unique<Attention>(name, params, input, heads, options,
                                     dropout ? dropout->name : "");
}

}  // namespace etude
