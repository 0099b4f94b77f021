#pragma once

// A training step taken apart: steps with a trace beside steps without, and what the trace amounts
// to by layer and by kernel.

#include <string>
#include <vector>

#include "apps/progress.h"
#include "apps/trainer.h"
#include "engine/trace.h"

namespace etude::apps {

// One kernel of one layer, or a part of one. All its calls in a step together.
struct ProfileRow {
  kernels::SpanKind pass;  // of the layer: forward, backward, or stage
  std::string layer, name;
  double calls = 0, seconds = 0;
  kernels::Work work;
  std::vector<ProfileRow> parts;
};

struct LayerTimes {
  std::string name;
  double forward = 0, backward = 0, stage = 0;  // seconds
  double seconds() const { return forward + backward + stage; }
};

// Seconds of a step: medians over the steps, each line's own, so that one that was disturbed does
// not show. What happens outside of steps (a table brought up to date) is shared out among them.
struct Profile {
  int64_t steps = 0;
  std::vector<ProfileRow> kernels;  // in the order of the step
  double between_kernels = 0;       // in no kernel
  std::vector<LayerTimes> layers;   // in the order of the step
  double between_layers = 0;
  double profiled = 0;  // of a whole step
  double plain = 0;     // the same, while nobody listened
  double sum() const;   // of the kernels and what is between them
};

Profile summarise(const std::vector<Trace::Event>& events);

// Makes warm-up steps, then at least `steps` of either kind, by turns.
Profile profile_training(Trainer& trainer, Trace& trace, int64_t steps, Progress& progress);
// How many steps that takes at most.
int64_t steps_to_profile(const kernels::Stream& stream, int64_t steps);

}  // namespace etude::apps
