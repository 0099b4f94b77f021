#include "bench/peers/gru_layer.h"
#include "engine/safetensors.h"
#include "layers/layer.h"

namespace etude::bench {

GruLayerData::GruLayerData(const GruLayerSizes& s, const std::filesystem::path& path)
    : sizes(s), x(s.batch * s.time * s.in), dy(s.batch * s.time * 2 * s.units), directions{} {
  const Safetensors file = Safetensors::read(path);
  file.copy("x", {s.batch, s.time, s.in}, x.data());
  file.copy("dy", {s.batch, s.time, 2 * s.units}, dy.data());
  for (int d = 0; d < 2; ++d) {
    const std::string prefix = d == 0 ? "gru.forward." : "gru.backward.";
    const auto read = [&](const char* part, const Shape& shape, std::vector<float>& to) {
      to.resize(count(shape));
      file.copy(prefix + part, shape, to.data());
    };
    read("kernel", {s.in, 3 * s.units}, directions[d].kernel);
    read("recurrent_kernel", {s.units, 3 * s.units}, directions[d].recurrent_kernel);
    read("bias", {3 * s.units}, directions[d].bias);
    read("recurrent_bias", {3 * s.units}, directions[d].recurrent_bias);
  }
}

namespace {

class EtudeGruLayer : public GruLayer {
 public:
  explicit EtudeGruLayer(const GruLayerData& data)
      : data_(data),
        layer_(make_bidirectional_gru("gru", params_, {data.sizes.time, data.sizes.in},
                                      data.sizes.units, ops::GruOutput::sequence,
                                      kernels::GruVersion::automatic)),
        tape_(arena_) {
    x_.shape = {data.sizes.batch, data.sizes.time, data.sizes.in};
    x_.data = const_cast<float*>(data_.x.data());  // read alone
    params_.allocate();
    params_.allocate_training();
    for (int d = 0; d < 2; ++d) {
      const GruLayerData::Direction& from = data.directions[d];
      const std::string prefix = d == 0 ? "gru.forward." : "gru.backward.";
      set(prefix + "kernel", from.kernel);
      set(prefix + "recurrent_kernel", from.recurrent_kernel);
      set(prefix + "bias", from.bias);
      set(prefix + "recurrent_bias", from.recurrent_bias);
    }
  }

  std::string name() const override { return "Etude"; }
  std::string version() const override { return "this build"; }

  void forward() override {
    params_.forget_gradients();
    tape_.begin(Mode::training, {});
    x_.grad = nullptr;
    x_.grad_written = false;
    y_ = layer_->forward(tape_, Tensor(&x_));
  }

  void backward() override {
    y_.node()->grad = const_cast<float*>(data_.dy.data());  // read alone
    y_.node()->grad_written = true;
    tape_.backward();
  }

  void write(const std::filesystem::path& path) override {
    std::vector<TensorData> tensors = {{"y", y_.shape(), y_.data()}, {"dx", x_.shape, x_.grad}};
    for (const Parameter& parameter : params_.all())
      tensors.push_back({parameter.name, parameter.node.shape, parameter.node.grad});
    write_safetensors(path, {}, tensors);
  }

 private:
  void set(const std::string& name, const std::vector<float>& values) {
    std::copy(values.begin(), values.end(), params_.find(name)->node.data);
  }

  const GruLayerData& data_;
  ParamSet params_;
  LayerPointer layer_;
  Arena arena_;
  Tape tape_;
  Node x_;
  Tensor y_;
};

}  // namespace

std::unique_ptr<GruLayer> etude_gru_layer(const GruLayerData& data) {
  return std::make_unique<EtudeGruLayer>(data);
}

}  // namespace etude::bench
