#include "engine/ops.h"
#include "engine/random.h"
#include "layers/layer.h"
#include "layers/parameters.h"

namespace etude {
namespace {

class BidirectionalGru : public Layer {
 public:
  BidirectionalGru(const std::string& layer, ParamSet& params, const Shape& input, int64_t units,
                   ops::GruOutput output, kernels::GruVersion version)
      : Layer(layer),
        units_(units),
        output_(output),
        version_(version),
        forward_(params, layer + ".forward", input.back(), units),
        backward_(params, layer + ".backward", input.back(), units) {}

  Shape output(const Shape& input) const override {
    if (output_ == ops::GruOutput::last) return {2 * units_};
    return {input[0], 2 * units_};
  }

  Tensor forward(Tape& tape, const Tensor& x) const override {
    return ops::bidirectional_gru(tape, x, forward_.tensors(), backward_.tensors(), output_,
                                  version_);
  }

  void initialise(uint64_t seed) override {
    for (Direction* d : {&forward_, &backward_}) {
      const Tensor kernel = d->kernel.tensor();
      initial::glorot_uniform(kernel, kernel.size(0), kernel.size(1), d->kernel.random(seed));
      initial::orthogonal(d->recurrent_kernel.tensor(), d->recurrent_kernel.random(seed));
    }
  }

  int64_t parameters() const override { return forward_.count() + backward_.count(); }

 private:
  struct Direction {
    Direction(ParamSet& params, const std::string& name, int64_t in, int64_t units)
        : kernel(params, name + ".kernel", {in, 3 * units}),
          recurrent_kernel(params, name + ".recurrent_kernel", {units, 3 * units}),
          bias(params, name + ".bias", {3 * units}),
          recurrent_bias(params, name + ".recurrent_bias", {3 * units}) {}
    ops::GruDirection tensors() const {
      return {kernel.tensor(), recurrent_kernel.tensor(), bias.tensor(), recurrent_bias.tensor()};
    }
    int64_t count() const {
      return kernel.count() + recurrent_kernel.count() + bias.count() + recurrent_bias.count();
    }
    LayerParameter kernel, recurrent_kernel, bias, recurrent_bias;
  };

  int64_t units_;
  ops::GruOutput output_;
  kernels::GruVersion version_;
  Direction forward_, backward_;
};

}  // namespace

LayerPointer make_bidirectional_gru(const std::string& name, ParamSet& params, const Shape& input,
                                    int64_t units, ops::GruOutput output,
                                    kernels::GruVersion version) {
  return std::make_unique<BidirectionalGru>(name, params, input, units, output, version);
}

}  // namespace etude
