// A matrix product and a pointwise kernel a step, both directions in each: 100 launches for 50
// steps. Needs nothing to fit anywhere, so it takes any number of units, and it is what the other
// versions are held against.
//
// Bound by launches: a step at 96 rows and 128 units is 19 MFLOP and 0.7 MB, a microsecond of work
// at most, where two dependent launches in a replayed graph cost 2 to 4 us. Floor: 50 x 2 x 1.2 us
// = 120 us a pass, against 25 us for a kernel that keeps its weights on the chip. Measured: not
// yet, no GPU was at hand.
//
// Registers (sm_80 / sm_90a): forward_step 32 / 32, backward_step 32 / 32; no spills.

#include "kernels/gru_recurrence.h"
#include "kernels/matmul.h"
#include "kernels/simt/simt.h"
// behind simt.h
#include "kernels/gru_gates.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

// An element of [2, batch, units].
struct Element {
  __device__ Element(const GruRecurrence& r, int64_t i, int64_t step)
      : direction(i / (r.batch * r.units)),
        row(i / r.units % r.batch),
        unit(i % r.units),
        time_row(row * r.time + gru_time(r.time, direction, step)) {}
  __device__ int64_t of(int64_t width, int64_t units) const {
    return time_row * width * units + unit;
  }
  int64_t direction, row, unit;
  int64_t time_row;  // of [batch, time]
};

// sums [2, batch, 3 units]: h R; null before the first step, where h is 0.
__global__ void forward_step(GruRecurrence r, int64_t step, const float* sums) {
  const int64_t u = r.units;
  for (int64_t i = global_thread(); i < 2 * r.batch * u; i += grid_threads()) {
    const Element e(r, i, step);
    const float* projected = gru_pick(r.projected, e.direction) + e.of(3, u);
    const float* recurrent_bias = gru_pick(r.recurrent_bias, e.direction) + e.unit;
    const float* sum = sums ? sums + i / u * 3 * u + e.unit : nullptr;
    float state[3];
    for (int gate = 0; gate < 3; ++gate)
      state[gate] = (sum ? sum[gate * u] : 0.0f) + recurrent_bias[gate * u];
    float* saved = gru_pick(r.saved, e.direction) + e.of(5, u);
    const float previous = sums ? saved[4 * u] : 0.0f;
    const GruGates gates =
        gru_gates(projected[0], projected[u], projected[2 * u], state[0], state[1], state[2]);
    const float h = gru_state(gates, previous);
    saved[0] = gates.z;
    saved[u] = gates.r;
    saved[2 * u] = gates.g;
    saved[3 * u] = gates.candidate;
    if (!sums) saved[4 * u] = 0.0f;
    if (step + 1 < r.time) {
      const Element next(r, i, step + 1);
      *(gru_pick(r.saved, e.direction) + next.of(5, u) + 4 * u) = h;
    }
    if (!r.last_only || step + 1 == r.time)
      r.y[gru_output(r, e.direction, e.row, step) + e.unit] = h;
  }
}

// carry [2, batch, units]: what the later steps sent back to this step's state, then what of it
// skips the gates. sums [2, batch, 3 units]: the gradients that R^T is to be applied to.
__global__ void backward_step(GruRecurrence r, int64_t step, float* carry, float* sums) {
  const int64_t u = r.units;
  const bool last = step + 1 == r.time;
  for (int64_t i = global_thread(); i < 2 * r.batch * u; i += grid_threads()) {
    const Element e(r, i, step);
    float dh = last ? 0.0f : carry[i];
    if (!r.last_only || last) dh += r.dy[gru_output(r, e.direction, e.row, step) + e.unit];
    float* saved = gru_pick(r.saved, e.direction) + e.of(5, u);
    const GruGates gates = {saved[0], saved[u], saved[2 * u], saved[3 * u]};
    const GruGates d = gru_gate_gradients(gru_gate_factors(gates, saved[4 * u]), dh);
    saved[0] = d.z;
    saved[u] = d.r;
    saved[2 * u] = d.g;
    saved[3 * u] = d.candidate;
    carry[i] = dh * gates.z;
    float* sum = sums + i / u * 3 * u + e.unit;
    sum[0] = d.z;
    sum[u] = d.r;
    sum[2 * u] = d.candidate;
  }
}

// h before the step, of one direction: a matrix whose rows are time * 5 units apart.
const float* previous_state(const GruRecurrence& r, int direction, int64_t step) {
  return r.saved[direction] + (gru_time(r.time, direction, step) * 5 + 4) * r.units;
}

}  // namespace

void gru_stepwise_forward(const Stream& stream, const GruRecurrence& r, float* scratch) {
  const int64_t u = r.units;
  for (int64_t step = 0; step < r.time; ++step) {
    if (step > 0) {
      const float* previous[] = {previous_state(r, 0, step), previous_state(r, 1, step)};
      matmul_batched(stream, 2,
                     {previous[1] - previous[0], r.recurrent_kernel[1] - r.recurrent_kernel[0],
                      r.batch * 3 * u},
                     r.batch, 3 * u, u, {previous[0], r.time * 5 * u},
                     {r.recurrent_kernel[0], 3 * u}, scratch, 3 * u, Write::overwrite);
    }
    launch(stream,
           {"gru_stepwise_forward", elementwise_grid(2 * r.batch * u, kThreads), {kThreads}},
           forward_step, r, step, step > 0 ? scratch : nullptr);
  }
}

void gru_stepwise_backward(const Stream& stream, const GruRecurrence& r, float* scratch) {
  const int64_t u = r.units;
  float *sums = scratch, *carry = scratch + 2 * r.batch * 3 * u;
  for (int64_t step = r.time - 1; step >= 0; --step) {
    launch(stream,
           {"gru_stepwise_backward", elementwise_grid(2 * r.batch * u, kThreads), {kThreads}},
           backward_step, r, step, carry, sums);
    if (step == 0) break;  // the state before the first step is a constant
    matmul_batched(stream, 2,
                   {r.batch * 3 * u, r.recurrent_kernel[1] - r.recurrent_kernel[0], r.batch * u},
                   r.batch, u, 3 * u, {sums, 3 * u}, {r.recurrent_kernel[0], 3 * u, Transpose::yes},
                   carry, u, Write::add);
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
