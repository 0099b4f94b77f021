#include "engine/session.h"

#include <utility>

#include "engine/ops.h"

namespace etude {

Session::Session(ParamSet& params, const Parameter& table, Forward forward, Nadam optimizer,
                 uint64_t seed)
    : params_(params),
      table_(table),
      forward_(std::move(forward)),
      optimizer_(std::move(optimizer)),
      seed_(seed) {}

double Session::train_step(const Batch& batch) {
  tape_.begin(Mode::training, seed_, static_cast<uint32_t>(optimizer_.state().step + 1));
  params_.allocate_training();
  params_.forget_gradients();
  const Tensor losses = ops::softmax_cross_entropy(tape_, forward_(tape_, batch), batch.targets);
  tape_.backward();
  params_.clear_missing_gradients();
  optimizer_.update(params_, &table_, batch.inputs, batch.size * batch.time);
  double sum = 0;
  for (int64_t i = 0; i < losses.count(); ++i) sum += losses.data()[i];
  return sum;
}

Tensor Session::logits(const Batch& batch) {
  tape_.begin(Mode::inference);
  return forward_(tape_, batch);
}

Tensor Session::losses(const Batch& batch, Tensor& logits) {
  tape_.begin(Mode::inference);
  logits = forward_(tape_, batch);
  return ops::softmax_cross_entropy(tape_, logits, batch.targets);
}

}  // namespace etude
