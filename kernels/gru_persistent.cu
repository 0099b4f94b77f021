// One launch for all steps and both directions, products in exact fp32, for up to 128 units: R
// stays in the registers of a block, which takes two batch rows of one direction through all steps.
//
// Bound by fp32 arithmetic, then by the latency of what cannot overlap: at 128 units a step of two
// rows is 98,304 multiply-adds on one multiprocessor, 768 cycles of its 128 lanes, 0.39 us. 96 rows
// and two directions are 96 blocks for 132 multiprocessors; more blocks of one row each would not
// all be resident, for R fills a register file. Floor of 50 steps: 19 us a pass, plus 2 us to fetch
// R. Memory is no bound: 1.6 KB in and 3 KB out a step and row.
//
// How the 256 threads divide 128 x 384 weights decides the rest. A thread with one column of R (384
// threads) multiplies each state that it reads from shared memory once, and shared memory delivers
// 32 numbers a cycle where 128 are multiplied: bound four times over, unless the broadcast is free.
// Here a thread has 4 units x 3 gates x 16 states, and reads a state for 12 multiply-adds;
// backward, 8 units x 24 gradients, 8 for each. The price is a sum over 8 (16) threads of a warp,
// 21 (15) shuffles, which leaves each thread with the sums of just one unit and row: the gates
// follow in registers, the thread keeps its state (its gradient), and as the shared copy is
// double-buffered, one barrier a step is enough.
//
// Instructions a step and thread in the loop (sm_90a; sm_80): forward 565; 557, of them 384
// multiply-adds of the product, backward 521; 524, of them 4 that sum the biases' gradients. With
// two warps a scheduler that is 1,130 and 1,042 cycles of issue, so 0.57 and 0.53 us a step, as far
// as the gates' latencies hide: the compiler has begun on z while other products are made.
// Measured: not yet, no GPU was at hand.
//
// Registers for 32, 64, 128 units, both architectures: forward 96, 167, 255; backward 128, 168,
// 254; no spills. R is fetched from L2 once a block, 96 x 196 KB.

#include "kernels/gru_recurrence.h"
#include "kernels/simt/simt.h"
// behind simt.h
#include "kernels/gru_parts.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

using namespace gru_parts;

constexpr int kMostUnits = 128;

// Forward: 4 units a group, so 8 parts. A thread multiplies 16 of 128 states for 12 columns of R
// and two rows: 384 products from 8 loads of four floats.
constexpr int kForwardGroup = 4;
using ForwardPlace = Place<kForwardGroup>;

// Piece j is 4 states from 4 (part + parts j) on, so that the parts of a group read neighbours. The
// weights of padding are 0: whatever states it has, between -1 and 1, reach nobody.
template <int kPieces>
__device__ inline void load_weights(const ForwardPlace& my, const float* kernel, int u,
                                    float (&weights)[kPieces][4][kForwardGroup][3]) {
#pragma unroll
  for (int j = 0; j < kPieces; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int gate = 0; gate < 3; ++gate) {
        const int k = 4 * (my.part + my.kParts * j) + i;
        float four[4] = {};
        if (k < u) load_four(kernel + (3 * k + gate) * u, my.first_unit, u, u % 4 == 0, four);
        permute(four, my.part);
#pragma unroll
        for (int p = 0; p < kForwardGroup; ++p) weights[j][i][p][gate] = four[p];
      }
}

// near: the states of the thread's own row; far: of the other.
template <int kPieces>
__device__ inline void multiply(const float4* near, const float4* far,
                                const float (&weights)[kPieces][4][kForwardGroup][3],
                                float (&sums)[ForwardPlace::kParts][3]) {
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    const float4 a = near[ForwardPlace::kParts * j], b = far[ForwardPlace::kParts * j];
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int p = 0; p < kForwardGroup; ++p)
#pragma unroll
        for (int gate = 0; gate < 3; ++gate) {
          sums[p][gate] += weights[j][i][p][gate] * lane_of(a, i);
          sums[p + kForwardGroup][gate] += weights[j][i][p][gate] * lane_of(b, i);
        }
  }
}

// What is added to the sums of one unit: z and r know only the sum of b and c.
struct UnitBias {
  __device__ UnitBias(const float* input, const float* state, int u, int unit) {
    z = state[unit] + (input ? input[unit] : 0.0f);
    r = state[u + unit] + (input ? input[u + unit] : 0.0f);
    candidate = state[2 * u + unit];
    g = input ? input[2 * u + unit] : 0.0f;
  }
  float z, r, g, candidate;
};

template <int kUnits>
__global__ void __launch_bounds__(kRows* kUnits) forward(GruRecurrence r) {
  const ForwardPlace my(r);
  const int u = static_cast<int>(r.units);
  SIMT_SHARED(float4, states, [2][kRows][kUnits / 4]);  // read by one step, written for the next
  float weights[kUnits / 4 / ForwardPlace::kParts][4][kForwardGroup][3];
  load_weights(my, gru_pick(r.recurrent_kernel, my.direction), u, weights);
  const UnitBias bias(gru_pick(r.bias, my.direction), gru_pick(r.recurrent_bias, my.direction), u,
                      my.real ? my.unit : 0);
  const Walk walk(r, my.row, my.direction, my.unit, 0, 1);
  const float* projected = gru_pick(r.projected, my.direction) + walk.first(3);
  float* saved = gru_pick(r.saved, my.direction) + walk.first(5);
  float* y = r.y + walk.output;
  float h = 0;
  reinterpret_cast<float*>(states[0][my.block_row])[my.unit] = h;
  __syncthreads();
  const int steps = static_cast<int>(r.time);
  for (int step = 0; step < steps; ++step) {
    float input[3] = {};  // comes while the products below are made
    if (my.real)
#pragma unroll
      for (int gate = 0; gate < 3; ++gate) input[gate] = projected[gate * u];
    float sums[ForwardPlace::kParts][3] = {};
    multiply(states[step % 2][my.block_row] + my.part, states[step % 2][1 - my.block_row] + my.part,
             weights, sums);
    add_parts(sums);
    const GruGates gates = gru_gates(input[0], input[1], input[2] + bias.g, sums[0][0] + bias.z,
                                     sums[0][1] + bias.r, sums[0][2] + bias.candidate);
    const float previous = h;
    h = gru_state(gates, previous);
    reinterpret_cast<float*>(states[(step + 1) % 2][my.block_row])[my.unit] = h;
    __syncthreads();
    if (my.real) {
      saved[0] = gates.z;
      saved[u] = gates.r;
      saved[2 * u] = gates.g;
      saved[3 * u] = gates.candidate;
      saved[4 * u] = previous;
      if (!r.last_only || step + 1 == steps) *y = h;
    }
    projected += walk.next(3);
    saved += walk.next(5);
    y += walk.next_output();
  }
}

// Backward: 8 units a group, so 16 parts. A thread multiplies 24 of 384 gradients for 8 rows of R
// and two batch rows: 384 products from 12 loads of four floats.
constexpr int kBackwardGroup = 8;
using BackwardPlace = Place<kBackwardGroup>;

// Piece j is 4 of the gradients of z, r and the candidate, kUnits apart, from 4 (part + parts j)
// on.
template <int kUnits, int kPieces>
__device__ inline void load_weights(const BackwardPlace& my, const float* kernel, int u,
                                    float (&weights)[kPieces][kBackwardGroup][4]) {
#pragma unroll
  for (int j = 0; j < kPieces; ++j)
#pragma unroll
    for (int p = 0; p < kBackwardGroup; ++p) {
      const int k = 4 * (my.part + my.kParts * j), gate = k / kUnits, unit = my.unit_at(p);
#pragma unroll
      for (int i = 0; i < 4; ++i) weights[j][p][i] = 0;
      if (gate < 3 && unit < u)
        load_four(kernel + (3 * unit + gate) * u, k % kUnits, u, u % 4 == 0, weights[j][p]);
    }
}

template <int kPieces>
__device__ inline void multiply(const float4* near, const float4* far,
                                const float (&weights)[kPieces][kBackwardGroup][4],
                                float (&sums)[BackwardPlace::kParts][1]) {
#pragma unroll
  for (int j = 0; j < kPieces; ++j) {
    const float4 a = near[BackwardPlace::kParts * j], b = far[BackwardPlace::kParts * j];
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int p = 0; p < kBackwardGroup; ++p) {
        sums[p][0] += weights[j][p][i] * lane_of(a, i);
        sums[p + kBackwardGroup][0] += weights[j][p][i] * lane_of(b, i);
      }
  }
}

// Of one unit, summed over steps.
struct BiasSums {
  __device__ void add(const GruGates& d) {
    z += d.z;
    r += d.r;
    g += d.g;
    candidate += d.candidate;
  }
  // Those of the block's two rows together, by the threads of the first.
  __device__ void store(const GruRecurrence& of, const BackwardPlace& my) const {
    const float all[] = {z, r, g, candidate};
    const int u = static_cast<int>(of.units);
    float* part =
        of.bias_parts + (my.direction * static_cast<int64_t>(gridDim.x) + blockIdx.x) * 4 * u;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float sum = all[i] + __shfl_xor_sync(0xffffffffu, all[i], kBackwardGroup);
      if (my.block_row == 0 && my.unit < u) part[i * u + my.unit] = sum;
    }
  }
  float z = 0, r = 0, g = 0, candidate = 0;
};

// What a step of backward reads, for one unit and row.
struct SavedStep {
  GruGates gates;
  float previous, dy;
};

__device__ inline SavedStep load_step(const float* saved, int u, const float* dy, bool has_output) {
  return {{saved[0], saved[u], saved[2 * u], saved[3 * u]}, saved[4 * u], has_output ? *dy : 0.0f};
}

template <int kUnits>
__global__ void __launch_bounds__(kRows* kUnits) backward(GruRecurrence r) {
  constexpr int kPieces = static_cast<int>(divide_up(3 * kUnits, 4 * BackwardPlace::kParts));
  constexpr int kWidth = kPieces * BackwardPlace::kParts;
  const BackwardPlace my(r);
  const int u = static_cast<int>(r.units);
  SIMT_SHARED(float4, gradients, [2][kRows][kWidth]);
  for (int i = static_cast<int>(threadIdx.x); i < 2 * kRows * kWidth; i += kRows * kUnits)
    gradients[i / (kRows * kWidth)][i / kWidth % kRows][i % kWidth] = make_float4(0, 0, 0, 0);
  float weights[kPieces][kBackwardGroup][4];
  load_weights<kUnits>(my, gru_pick(r.recurrent_kernel, my.direction), u, weights);
  const Walk walk(r, my.row, my.direction, my.unit, r.time - 1, -1);
  float* saved = gru_pick(r.saved, my.direction) + walk.first(5);
  const float* dy = r.dy + walk.output;
  SavedStep next = {};
  if (my.real) next = load_step(saved, u, dy, true);
  GruGateFactors now = gru_gate_factors(next.gates, next.previous);
  float dh = next.dy;
  BiasSums bias;
  __syncthreads();
  for (int step = static_cast<int>(r.time) - 1; step >= 0; --step) {
    const GruGates d = gru_gate_gradients(now, dh);
    bias.add(d);
    float* shared = reinterpret_cast<float*>(gradients[step % 2][my.block_row]) + my.unit;
    shared[0] = d.z;
    shared[kUnits] = d.r;
    shared[2 * kUnits] = d.candidate;
    __syncthreads();
    if (my.real) {
      saved[0] = d.z;
      saved[u] = d.r;
      saved[2 * u] = d.g;
      saved[3 * u] = d.candidate;
    }
    if (step == 0) break;  // the state before the first step is a constant
    saved += walk.next(5);
    dy += walk.next_output();
    if (my.real) next = load_step(saved, u, dy, !r.last_only);
    float sums[BackwardPlace::kParts][1] = {};
    multiply(gradients[step % 2][my.block_row] + my.part,
             gradients[step % 2][1 - my.block_row] + my.part, weights, sums);
    const float skips = dh * now.z + next.dy;
    now = gru_gate_factors(next.gates, next.previous);
    add_parts(sums);
    dh = skips + sums[0][0];
  }
  if (r.bias_parts) bias.store(r, my);
}

Launch shape(const char* name, const GruRecurrence& r, int padded_units) {
  return {name, {static_cast<int>(divide_up(r.batch, kRows)), 2}, {kRows * padded_units}};
}

}  // namespace

bool gru_persistent_fits(const Stream&, int64_t units) { return units <= kMostUnits; }

int64_t gru_persistent_parts(int64_t batch) { return divide_up(batch, kRows); }

void gru_persistent_forward(const Stream& stream, const GruRecurrence& r) {
  constexpr const char* kName = "gru_persistent_forward";
  if (r.units <= 32)
    launch(stream, shape(kName, r, 32), forward<32>, r);
  else if (r.units <= 64)
    launch(stream, shape(kName, r, 64), forward<64>, r);
  else
    launch(stream, shape(kName, r, 128), forward<128>, r);
}

void gru_persistent_backward(const Stream& stream, const GruRecurrence& r) {
  constexpr const char* kName = "gru_persistent_backward";
  if (r.units <= 32)
    launch(stream, shape(kName, r, 32), backward<32>, r);
  else if (r.units <= 64)
    launch(stream, shape(kName, r, 64), backward<64>, r);
  else
    launch(stream, shape(kName, r, 128), backward<128>, r);
}

}  // namespace etude::kernels::ETUDE_DEVICE
