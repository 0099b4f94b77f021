// Two launches that frame a captured step. Bound by latency: begin_step reads and writes 4,896
// tokens behind three dependent loads (cursor, offset, token), end_step 96 losses in one block.
// Floor: the launches themselves, and about 1 us of dependent loads. Measured: not yet, no GPU was
// at hand. Registers (sm_80 as sm_90a): 22 (begin), 31 (end); no spills.

#include "kernels/step_plan.h"

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kWindowThreads = 64, kSumThreads = 128;

// One block a window.
__global__ void begin(StepPlan plan, uint32_t first_step, int64_t batch, int64_t time,
                      int32_t* inputs, int32_t* targets) {
  const int64_t done = *plan.cursor, window = blockIdx.x;
  const int32_t* tokens = plan.tokens + plan.offsets[done * batch + window];
  for (int64_t t = threadIdx.x; t <= time; t += blockDim.x) {
    if (t < time)
      inputs[window * time + t] = tokens[t];
    else
      targets[window] = tokens[t];
  }
  if (window == 0 && threadIdx.x == 0) {
    *plan.current = plan.scalars[done];
    *plan.step = first_step + static_cast<uint32_t>(done);
  }
}

// One block: the cursor has no other reader while it moves.
__global__ void end(StepPlan plan, int64_t batch, const float* loss) {
  SIMT_SHARED(float, partial, [kSumThreads / 32]);
  float sum = 0;
  for (int64_t i = threadIdx.x; i < batch; i += kSumThreads) sum += loss[i];
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) {
    const int64_t done = *plan.cursor;
    plan.losses[done] = sum;
    *plan.cursor = done + 1;
  }
}

}  // namespace

void begin_step(const Stream& stream, const StepPlan& plan, uint32_t first_step, int64_t batch,
                int64_t time, int32_t* inputs, int32_t* targets) {
  launch(stream, {"step_plan_begin", {static_cast<int>(batch)}, {kWindowThreads}}, begin, plan,
         first_step, batch, time, inputs, targets);
}

void end_step(const Stream& stream, const StepPlan& plan, int64_t batch, const float* loss) {
  launch(stream, {"step_plan_end", {1}, {kSumThreads}}, end, plan, batch, loss);
}

}  // namespace etude::kernels::ETUDE_DEVICE
