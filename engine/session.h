#pragma once

// One training or evaluation step: forward, backward and update over an arena that every step uses
// again. On the CPU the step runs eagerly.

#include <functional>

#include "engine/optimizer.h"
#include "engine/tape.h"

namespace etude {

// A minibatch of windows. The arrays are the caller's and live for the length of the call.
struct Batch {
  int64_t size, time;
  const int32_t* inputs;   // [size, time]
  const int32_t* targets;  // [size]; may be null where no loss is asked for
};

// From a minibatch to its logits [size, V].
using Forward = std::function<Tensor(Tape&, const Batch&)>;

class Session {
 public:
  // `params` must outlive the session; `table` is the embedding's parameter, one of them.
  Session(ParamSet& params, const Parameter& table, Forward forward, Nadam optimizer,
          uint64_t seed);

  // One update; returns the sum of the losses before it, in nats.
  double train_step(const Batch& batch);

  // Without dropout and without gradients. The values are the arena's, until the next step.
  Tensor logits(const Batch& batch);
  // Losses [size]; `logits` stay readable.
  Tensor losses(const Batch& batch, Tensor& logits);

  Nadam& optimizer() { return optimizer_; }
  int64_t arena_bytes() const { return arena_.bytes(); }

 private:
  ParamSet& params_;
  const Parameter& table_;
  Forward forward_;
  Nadam optimizer_;
  uint64_t seed_;
  Arena arena_;
  Tape tape_{arena_};
};

}  // namespace etude
