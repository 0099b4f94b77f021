#pragma once

// A layer: parameters, and a forward that strings operations together. Layers are made by their
// builders below, which name the parameters, and live in a Model.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/params.h"
#include "layers/config.h"

namespace etude {

class Layer {
 public:
  explicit Layer(std::string name) : name_(std::move(name)) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const std::string& name() const { return name_; }

  // The shape of one batch row's output from that of its input, as in [T, F].
  virtual Shape output(const Shape& input) const = 0;
  virtual Tensor forward(Tape& tape, const Tensor& x) const = 0;
  // Sets the parameters, as Keras does. `seed` decides.
  virtual void initialise(uint64_t /*seed*/) {}
  virtual int64_t parameters() const { return 0; }
  // The layers without parameters that forward has taken in, behind its own: each has a row of its
  // own in Model::summary().
  virtual std::vector<std::string> fused() const { return {}; }

 private:
  std::string name_;
};

using LayerPointer = std::unique_ptr<Layer>;

// Each adds its parameters to `params`, under its name. `input` is one batch row's shape.
LayerPointer make_bidirectional_gru(const std::string& name, ParamSet& params, const Shape& input,
                                    int64_t units, ops::GruOutput output,
                                    kernels::GruVersion version);
// Behind the layer that takes it in, and in one with it.
struct ThenDropout {
  std::string name;
  float rate;
  uint32_t stream;  // tells one dropout's masks from another's
};
LayerPointer make_attention(const std::string& name, ParamSet& params, const Shape& input,
                            int64_t heads, int64_t width, bool sigmoid,
                            std::optional<ThenDropout> dropout = {});
struct ThenLeakyRelu {
  std::string name;
  float slope;
};
LayerPointer make_dense(const std::string& name, ParamSet& params, const Shape& input, int64_t out,
                        std::optional<ThenLeakyRelu> activation = {});
LayerPointer make_dropout(const std::string& name, float rate, uint32_t stream);
LayerPointer make_flatten(const std::string& name);
// x + inner(x), the inner layers one after the other.
LayerPointer make_residual(const std::string& name, std::vector<LayerPointer> inner);

}  // namespace etude
