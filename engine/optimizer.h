#pragma once

// Nadam over a whole ParamSet. kernels/nadam.h has the formula.

#include "engine/params.h"
#include "kernels/nadam.h"

namespace etude {

// What moves in an embedding table: every row (PyTorch's way), or only the rows that the minibatch
// names while the moments of all decay (TensorFlow's).
enum class EmbeddingUpdate { dense, sparse };

class Nadam {
 public:
  explicit Nadam(kernels::NadamOptions options = {}, EmbeddingUpdate embedding = {})
      : options_(options), embedding_(embedding) {}

  // One update from the gradients in `params`, on the CPU. With EmbeddingUpdate::sparse, `table` is
  // the embedding's parameter and ids [count] the rows that the minibatch names.
  void update(ParamSet& params, const Parameter* table, const int32_t* ids, int64_t count);

  // The update of all parameters but the table's. The state stays as it is: see advance().
  void update_others(ParamSet& params, const Parameter& table,
                     const kernels::NadamStep& scalars) const;

  // The same on a device, in its stream: `scalars` lies in the device's memory, and `index` is
  // kernels::embedding_index() of `count` ids. The state stays as it is: see advance().
  void update_on_device(const kernels::Stream& stream, ParamSet& params, const Parameter& table,
                        const int32_t* index, int64_t count,
                        const kernels::NadamStep* scalars) const;
  // Of all parameters but the table's.
  void update_others_on_device(const kernels::Stream& stream, ParamSet& params,
                               const Parameter& table, const kernels::NadamStep* scalars) const;
  EmbeddingUpdate embedding() const { return embedding_; }

  // The numbers of the next updates, and moving on by as many.
  std::vector<kernels::NadamStep> next_steps(int64_t count) const;
  void advance(int64_t count);

  // For checkpoints: how many updates there were, and the product of the momentum schedule.
  struct State {
    int64_t step = 0;
    double schedule_product = 1;
  };
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }
  const kernels::NadamOptions& options() const { return options_; }

 private:
  kernels::NadamOptions options_;
  EmbeddingUpdate embedding_;
  State state_;
};

}  // namespace etude
