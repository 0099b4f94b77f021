#pragma once

// How well a model predicts the next token of music that it need not have seen.

#include <cstdint>
#include <functional>

#include "apps/checkpoint.h"
#include "midi/dataset.h"

namespace etude::apps {

// Windows whose target the vocabulary lacks (class 0) are left out of everything but their count:
// class 0 never was a target in training, so its probability says nothing. Unknown tokens inside
// the inputs stay as they are, class 0.
struct Evaluation {
  int64_t samples = 0;          // that were evaluated
  int64_t unknown_targets = 0;  // left out
  double loss_sum = 0;          // nats
  int64_t top1 = 0, top5 = 0;   // the target is the most probable, is among the five most probable

  double loss() const { return loss_sum / static_cast<double>(samples); }
};

// `tell` hears how many windows are done. Error where no target is known.
Evaluation evaluate_model(Checkpoint& checkpoint, const midi::Dataset& dataset, int batch,
                          const kernels::Stream& stream, const std::function<void(int64_t)>& tell);

}  // namespace etude::apps
