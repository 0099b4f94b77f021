#pragma once

// What a captured training step reads and writes on the device, so that replaying it is all that a
// step takes: the data, the order of an epoch, the optimiser's numbers of each step, the losses.

#include "kernels/nadam.h"
#include "kernels/types.h"

namespace etude::kernels {

// Pointers into the device's memory. A plan covers `steps` steps from first_step on (counted from
// 1); *cursor says how many of them are done.
struct StepPlan {
  const int32_t* tokens;     // all songs
  const int64_t* offsets;    // [steps, batch]: where in tokens each window begins
  const NadamStep* scalars;  // [steps]
  float* losses;             // [steps]: the sum over the minibatch
  int64_t* cursor;
  uint32_t* step;      // first_step + *cursor: keys dropout
  NadamStep* current;  // scalars[*cursor]
};

}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
// inputs [batch, time] = the windows at offsets[*cursor]; targets [batch] = the token behind
// each; *current and *step are set.
void begin_step(const Stream& stream, const StepPlan& plan, uint32_t first_step, int64_t batch,
                int64_t time, int32_t* inputs, int32_t* targets);
// losses[*cursor] = the sum of loss [batch], in a fixed order; the cursor moves on.
void end_step(const Stream& stream, const StepPlan& plan, int64_t batch, const float* loss);
)
// clang-format on
