#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace etude::bench {

struct GruLayerSizes {
  int64_t batch = 0, time = 0, in = 0, units = 0;
};

// What the layer gets. Names and layouts of a checkpoint: gru.forward.kernel and so on.
struct GruLayerData {
  GruLayerData(const GruLayerSizes& sizes, const std::filesystem::path& path);

  struct Direction {
    std::vector<float> kernel, recurrent_kernel, bias, recurrent_bias;
  };
  GruLayerSizes sizes;
  std::vector<float> x, dy;  // [batch, time, in], [batch, time, 2 units]
  Direction directions[2];   // forward, backward
};

class GruLayer {
 public:
  GruLayer() = default;
  virtual ~GruLayer() = default;
  GruLayer(const GruLayer&) = delete;
  GruLayer& operator=(const GruLayer&) = delete;

  virtual std::string name() const = 0;
  virtual std::string version() const = 0;
  virtual void forward() = 0;
  virtual void backward() = 0;
  // y, dx and the weights' gradients as the last step left them, in Etude's layouts.
  virtual void write(const std::filesystem::path& path) = 0;
};

// Both refer to the data, which must outlive them.
std::unique_ptr<GruLayer> etude_gru_layer(const GruLayerData& data);
// Weights change in every step of a training, so packing them is part of its times; its input and
// output keep the layout that it wants (time first).
std::unique_ptr<GruLayer> onednn_gru_layer(const GruLayerData& data);

}  // namespace etude::bench
