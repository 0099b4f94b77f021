#pragma once

// The models of the paper: an embedding, the layers that make the difference, and the three that
// all of them end in, Dense(64) -> LeakyReLU -> Dense(V).

#include <memory>
#include <vector>

#include "engine/session.h"
#include "layers/config.h"
#include "layers/layer.h"
#include "layers/parameters.h"

namespace etude {

class Model {
 public:
  // Counts and names the parameters; they have no memory before initialise(), or before
  // params().allocate() and a checkpoint.
  explicit Model(const ModelConfig& config);

  void initialise(uint64_t seed);

  // batch.time must be the config's window. The logits [size, classes].
  Tensor forward(Tape& tape, const Batch& batch) const;
  // The losses [size] of batch.targets, in nats.
  Tensor losses(Tape& tape, const Batch& batch) const;

  const ModelConfig& config() const { return config_; }
  ParamSet& params() { return *params_; }
  const Parameter& embedding_table() const { return table_->get(); }

  // For `etude params`: every layer with the shape of one batch row's output.
  struct Row {
    std::string name;
    Shape output;
    int64_t parameters;
  };
  std::vector<Row> summary() const;

 private:
  ModelConfig config_;
  std::unique_ptr<ParamSet> params_;  // layers point into it
  std::unique_ptr<LayerParameter> table_;
  std::vector<LayerPointer> layers_;  // up to the output layer
  std::unique_ptr<LayerParameter> output_weight_, output_bias_;

  Tensor embedded(Tape& tape, const Batch& batch) const;
  Tensor hidden(Tape& tape, const Batch& batch) const;  // the output layer's input
};

// A session that trains or evaluates the model, which must outlive it, and moves to the stream's
// device.
Session make_session(Model& model, const Nadam& optimizer = Nadam(), uint64_t seed = 0,
                     const kernels::Stream& stream = {});

}  // namespace etude
