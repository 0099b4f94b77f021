// oneDNN's lbr_gru ("linear before reset": the reset_after form) with bidirectional_concat. Its
// gates u, r, o are Etude's z, r, g; of its four biases the first three are b, to which c joins for
// z and r, and the fourth is c's for g. A matrix lies as Etude's: [in, 3 units] is its ldigo.

#include <dnnl.hpp>
#include <unordered_map>

#include "bench/peers/gru_layer.h"
#include "engine/safetensors.h"

namespace etude::bench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Floats = std::vector<float>;

memory::desc floats(const memory::dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}

// [batch, time, n] <-> [time, batch, n]
Floats swap_first(const Floats& from, int64_t rows, int64_t columns, int64_t n) {
  Floats to(from.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      std::copy_n(from.begin() + (i * columns + j) * n, n, to.begin() + (j * rows + i) * n);
  return to;
}

class OnednnGruLayer : public GruLayer {
 public:
  explicit OnednnGruLayer(const GruLayerData& data);

  std::string name() const override { return "oneDNN"; }
  std::string version() const override {
    const dnnl::version_t* v = dnnl::version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }
  void forward() override;
  void backward() override;
  void write(const std::filesystem::path& path) override;

 private:
  void make_primitives();
  memory make(const memory::desc& desc) const { return {desc, engine_}; }
  memory around(const memory::desc& desc, Floats& values) const {
    return {desc, engine_, values.data()};
  }
  void reorder(memory& from, memory& to) { dnnl::reorder(from, to).execute(stream_, from, to); }

  GruLayerSizes s_;
  memory::desc x_desc_, kernel_desc_, recurrent_desc_, bias_desc_, y_desc_;
  Floats x_, dy_, y_, dx_, kernel_, recurrent_, bias_, dkernel_, drecurrent_, dbias_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive forward_, backward_;
  std::unordered_map<int, memory> forward_memory_, backward_memory_;
};

OnednnGruLayer::OnednnGruLayer(const GruLayerData& data)
    : s_(data.sizes),
      x_desc_(floats({s_.time, s_.batch, s_.in}, Tag::tnc)),
      kernel_desc_(floats({1, 2, s_.in, 3, s_.units}, Tag::ldigo)),
      recurrent_desc_(floats({1, 2, s_.units, 3, s_.units}, Tag::ldigo)),
      bias_desc_(floats({1, 2, 4, s_.units}, Tag::ldgo)),
      y_desc_(floats({s_.time, s_.batch, 2 * s_.units}, Tag::tnc)),
      x_(swap_first(data.x, s_.batch, s_.time, s_.in)),
      dy_(swap_first(data.dy, s_.batch, s_.time, 2 * s_.units)),
      y_(dy_.size()),
      dx_(x_.size()) {
  for (const GruLayerData::Direction& from : data.directions) {
    kernel_.insert(kernel_.end(), from.kernel.begin(), from.kernel.end());
    recurrent_.insert(recurrent_.end(), from.recurrent_kernel.begin(), from.recurrent_kernel.end());
    const int64_t n = s_.units;
    for (int64_t i = 0; i < 3 * n; ++i)
      bias_.push_back(from.bias[i] + (i < 2 * n ? from.recurrent_bias[i] : 0));
    bias_.insert(bias_.end(), from.recurrent_bias.begin() + 2 * n, from.recurrent_bias.end());
  }
  dkernel_.resize(kernel_.size());
  drecurrent_.resize(recurrent_.size());
  dbias_.resize(bias_.size());
  make_primitives();
}

void OnednnGruLayer::make_primitives() {
  const auto any = [](const memory::desc& d) { return floats(d.dims(), Tag::any); };
  const auto both = dnnl::rnn_direction::bidirectional_concat;
  const memory::desc none;
  const dnnl::lbr_gru_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, both, x_desc_, none, any(kernel_desc_),
       any(recurrent_desc_), bias_desc_, y_desc_, none},
      engine_);
  const dnnl::lbr_gru_backward::primitive_desc backward(
      {dnnl::prop_kind::backward, both, x_desc_, none, any(kernel_desc_), any(recurrent_desc_),
       bias_desc_, y_desc_, none, x_desc_, none, any(kernel_desc_), any(recurrent_desc_),
       bias_desc_, y_desc_, none},
      engine_, forward);
  forward_ = dnnl::lbr_gru_forward(forward);
  backward_ = dnnl::lbr_gru_backward(backward);
  const memory workspace = make(forward.workspace_desc());
  forward_memory_ = {{DNNL_ARG_SRC_LAYER, around(x_desc_, x_)},
                     {DNNL_ARG_WEIGHTS_LAYER, make(forward.weights_layer_desc())},
                     {DNNL_ARG_WEIGHTS_ITER, make(forward.weights_iter_desc())},
                     {DNNL_ARG_BIAS, around(bias_desc_, bias_)},
                     {DNNL_ARG_DST_LAYER, around(y_desc_, y_)},
                     {DNNL_ARG_WORKSPACE, workspace}};
  backward_memory_ = forward_memory_;
  backward_memory_[DNNL_ARG_WEIGHTS_LAYER] = make(backward.weights_layer_desc());
  backward_memory_[DNNL_ARG_WEIGHTS_ITER] = make(backward.weights_iter_desc());
  backward_memory_[DNNL_ARG_DIFF_SRC_LAYER] = around(x_desc_, dx_);
  backward_memory_[DNNL_ARG_DIFF_WEIGHTS_LAYER] = make(backward.diff_weights_layer_desc());
  backward_memory_[DNNL_ARG_DIFF_WEIGHTS_ITER] = make(backward.diff_weights_iter_desc());
  backward_memory_[DNNL_ARG_DIFF_BIAS] = around(bias_desc_, dbias_);
  backward_memory_[DNNL_ARG_DIFF_DST_LAYER] = around(y_desc_, dy_);
}

void OnednnGruLayer::forward() {
  memory kernel = around(kernel_desc_, kernel_), recurrent = around(recurrent_desc_, recurrent_);
  reorder(kernel, forward_memory_[DNNL_ARG_WEIGHTS_LAYER]);
  reorder(recurrent, forward_memory_[DNNL_ARG_WEIGHTS_ITER]);
  forward_.execute(stream_, forward_memory_);
  stream_.wait();
}

void OnednnGruLayer::backward() {
  memory kernel = around(kernel_desc_, kernel_), recurrent = around(recurrent_desc_, recurrent_);
  reorder(kernel, backward_memory_[DNNL_ARG_WEIGHTS_LAYER]);
  reorder(recurrent, backward_memory_[DNNL_ARG_WEIGHTS_ITER]);
  // It adds to the weights' gradients.
  for (const int what : {DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER}) {
    memory& gradient = backward_memory_[what];
    std::fill_n(static_cast<char*>(gradient.get_data_handle()), gradient.get_desc().get_size(), 0);
  }
  std::fill(dbias_.begin(), dbias_.end(), 0.0f);
  backward_.execute(stream_, backward_memory_);
  memory dkernel = around(kernel_desc_, dkernel_),
         drecurrent = around(recurrent_desc_, drecurrent_);
  reorder(backward_memory_[DNNL_ARG_DIFF_WEIGHTS_LAYER], dkernel);
  reorder(backward_memory_[DNNL_ARG_DIFF_WEIGHTS_ITER], drecurrent);
  stream_.wait();
}

void OnednnGruLayer::write(const std::filesystem::path& path) {
  const int64_t n = s_.units;
  const Floats y = swap_first(y_, s_.time, s_.batch, 2 * n),
               dx = swap_first(dx_, s_.time, s_.batch, s_.in);
  std::vector<TensorData> tensors = {{"y", {s_.batch, s_.time, 2 * n}, y.data()},
                                     {"dx", {s_.batch, s_.time, s_.in}, dx.data()}};
  Floats recurrent_bias[2];
  for (int d = 0; d < 2; ++d) {
    const std::string prefix = d == 0 ? "gru.forward." : "gru.backward.";
    const float* dbias = dbias_.data() + d * 4 * n;
    recurrent_bias[d].assign(dbias, dbias + 2 * n);
    recurrent_bias[d].insert(recurrent_bias[d].end(), dbias + 3 * n, dbias + 4 * n);
    tensors.push_back({prefix + "kernel", {s_.in, 3 * n}, dkernel_.data() + d * s_.in * 3 * n});
    tensors.push_back(
        {prefix + "recurrent_kernel", {n, 3 * n}, drecurrent_.data() + d * n * 3 * n});
    tensors.push_back({prefix + "bias", {3 * n}, dbias});
    tensors.push_back({prefix + "recurrent_bias", {3 * n}, recurrent_bias[d].data()});
  }
  write_safetensors(path, {}, tensors);
}

}  // namespace

std::unique_ptr<GruLayer> onednn_gru_layer(const GruLayerData& data) {
  return std::make_unique<OnednnGruLayer>(data);
}

}  // namespace etude::bench
