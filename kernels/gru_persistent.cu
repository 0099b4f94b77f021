// One launch for all steps and both directions, products in exact fp32, for up to 128 units.

#include "kernels/gru_recurrence.h"
#include "kernels/simt/simt.h"
// behind simt.h
#include "kernels/gru_gates.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kRows = 2;  // batch rows a block
constexpr int kMostUnits = 128;

// The part of a block that one thread is: a group of kGroup units shares the work with kRows *
// kGroup threads, its `parts`, each of which multiplies its part of the vector for all of the
// group's units and rows. What part s holds at place p belongs to unit (p ^ s) % kGroup and row
// (p ^ s) / kGroup, so that the sum over parts needs no selection and leaves the thread with the
// sums of one unit and row, its own.
template <int kGroup>
struct Place {
  static constexpr int kParts = kRows * kGroup;
  __device__ Place(const GruRecurrence& r)
      : part(static_cast<int>(threadIdx.x) % kParts),
        first_unit(static_cast<int>(threadIdx.x) / kParts * kGroup),
        block_row(part / kGroup),
        unit(first_unit + part % kGroup),
        row(static_cast<int64_t>(blockIdx.x) * kRows + block_row),
        direction(static_cast<int>(blockIdx.y)),
        real(unit < r.units && row < r.batch) {}
  __device__ int unit_at(int p) const { return first_unit + (p ^ part) % kGroup; }
  int part, first_unit, block_row, unit;
  int64_t row;
  int direction;
  bool real;  // neither padding nor past the last row
};

// sums[0] = the sum over the group's parts of what belongs to this thread.
template <int kPlaces, int kColumns>
__device__ inline void add_parts(float (&sums)[kPlaces][kColumns]) {
#pragma unroll
  for (int half = kPlaces / 2; half > 0; half /= 2)
#pragma unroll
    for (int p = 0; p < half; ++p)
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        sums[p][c] += __shfl_xor_sync(0xffffffffu, sums[p + half][c], half);
}

// Four neighbours of a row of `width` numbers, from `at` on; 0 past its end.
__device__ inline void load_four(const float* row, int at, int width, bool vectors,
                                 float (&to)[4]) {
  if (vectors && at + 4 <= width) {
    const float4 four = *reinterpret_cast<const float4*>(row + at);
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = at + i < width ? row[at + i] : 0.0f;
  }
}

// four[p] = four[p ^ part]
__device__ inline void permute(float (&four)[4], int part) {
  const auto swap = [](bool wanted, float& a, float& b) {
    const float first = a;
    a = wanted ? b : a;
    b = wanted ? first : b;
  };
  swap(part & 1, four[0], four[1]);
  swap(part & 1, four[2], four[3]);
  swap(part & 2, four[0], four[2]);
  swap(part & 2, four[1], four[3]);
}

__device__ inline float lane_of(const float4& four, int i) {
  return i == 0 ? four.x : i == 1 ? four.y : i == 2 ? four.z : four.w;
}

constexpr int kForwardGroup = 4;
template <int kUnits>
constexpr int kForwardPieces = kUnits / (4 * kRows * kForwardGroup);

template <int kUnits>
__global__ void __launch_bounds__(kRows* kUnits) forward(GruRecurrence r) {
  constexpr int kPieces = kForwardPieces<kUnits>;
  using Mine = Place<kForwardGroup>;
  const Mine my(r);
  const int u = static_cast<int>(r.units);
  SIMT_SHARED(float4, states, [2][kRows][kUnits / 4]);

  float weights[kPieces][4][kForwardGroup][3];
  const float* kernel = gru_pick(r.recurrent_kernel, my.direction);
#pragma unroll
  for (int j = 0; j < kPieces; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int gate = 0; gate < 3; ++gate) {
        const int k = 4 * (my.part + Mine::kParts * j) + i;
        float four[4] = {};
        if (k < u) load_four(kernel + (3 * k + gate) * u, my.first_unit, u, u % 4 == 0, four);
        permute(four, my.part);
#pragma unroll
        for (int p = 0; p < kForwardGroup; ++p) weights[j][i][p][gate] = four[p];
      }

  const float* bias = gru_pick(r.bias, my.direction);
  const float* recurrent_bias = gru_pick(r.recurrent_bias, my.direction);
  float input_bias[3] = {}, state_bias[3] = {};
  if (my.real)
#pragma unroll
    for (int gate = 0; gate < 3; ++gate) {
      state_bias[gate] = recurrent_bias[gate * u + my.unit];
      if (bias) input_bias[gate] = bias[gate * u + my.unit];
    }
  state_bias[0] += input_bias[0];
  state_bias[1] += input_bias[1];

  float h = 0;
  reinterpret_cast<float*>(states[0][my.block_row])[my.unit] = h;
  __syncthreads();
  for (int64_t step = 0; step < r.time; ++step) {
    const int64_t at = my.row * r.time + gru_time(r.time, my.direction, step);
    float input[3] = {};
    if (my.real) {
      const float* projected = gru_pick(r.projected, my.direction) + at * 3 * u + my.unit;
#pragma unroll
      for (int gate = 0; gate < 3; ++gate) input[gate] = projected[gate * u];
    }
    float sums[Mine::kParts][3] = {};
    const float4* near = states[step % 2][my.block_row] + my.part;
    const float4* far = states[step % 2][1 - my.block_row] + my.part;
#pragma unroll
    for (int j = 0; j < kPieces; ++j) {
      const float4 a = near[Mine::kParts * j], b = far[Mine::kParts * j];
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
    add_parts(sums);
    const GruGates gates =
        gru_gates(input[0], input[1], input[2] + input_bias[2], sums[0][0] + state_bias[0],
                  sums[0][1] + state_bias[1], sums[0][2] + state_bias[2]);
    const float previous = h;
    h = gru_state(gates, previous);
    reinterpret_cast<float*>(states[(step + 1) % 2][my.block_row])[my.unit] = h;
    if (my.real) {
      float* saved = gru_pick(r.saved, my.direction) + at * 5 * u + my.unit;
      saved[0] = gates.z;
      saved[u] = gates.r;
      saved[2 * u] = gates.g;
      saved[3 * u] = gates.candidate;
      saved[4 * u] = previous;
      if (!r.last_only || step + 1 == r.time)
        r.y[gru_output(r, my.direction, my.row, step) + my.unit] = h;
    }
    __syncthreads();
  }
}

// What a step of backward reads, for one unit and row.
struct SavedStep {
  GruGates gates;
  float previous, dy;
};

__device__ inline SavedStep load_step(const GruRecurrence& r, const float* saved, int direction,
                                      int64_t row, int unit, int64_t step) {
  const int u = static_cast<int>(r.units);
  SavedStep s = {{saved[0], saved[u], saved[2 * u], saved[3 * u]}, saved[4 * u], 0.0f};
  if (!r.last_only || step + 1 == r.time) s.dy = r.dy[gru_output(r, direction, row, step) + unit];
  return s;
}

constexpr int kBackwardGroup = 8;
template <int kUnits>
constexpr int kBackwardPieces = static_cast<int>(divide_up(3 * kUnits, 4 * kRows * kBackwardGroup));

template <int kUnits>
__global__ void __launch_bounds__(kRows* kUnits) backward(GruRecurrence r) {
  constexpr int kPieces = kBackwardPieces<kUnits>;
  using Mine = Place<kBackwardGroup>;
  const Mine my(r);
  const int u = static_cast<int>(r.units);
  // The gradients that R^T is applied to: z, r and the candidate, kUnits apart.
  SIMT_SHARED(float4, gradients, [2][kRows][kPieces * Mine::kParts]);
  for (int i = static_cast<int>(threadIdx.x); i < 2 * kRows * kPieces * Mine::kParts;
       i += kRows * kUnits)
    (&gradients[0][0][0])[i] = make_float4(0, 0, 0, 0);

  float weights[kPieces][kBackwardGroup][4];
  const float* kernel = gru_pick(r.recurrent_kernel, my.direction);
#pragma unroll
  for (int j = 0; j < kPieces; ++j)
#pragma unroll
    for (int p = 0; p < kBackwardGroup; ++p) {
      const int k = 4 * (my.part + Mine::kParts * j), gate = k / kUnits, unit = my.unit_at(p);
#pragma unroll
      for (int i = 0; i < 4; ++i) weights[j][p][i] = 0;
      if (gate < 3 && unit < u)
        load_four(kernel + (3 * unit + gate) * u, k % kUnits, u, u % 4 == 0, weights[j][p]);
    }
  __syncthreads();

  float* const all_saved = gru_pick(r.saved, my.direction) + my.unit;
  const auto saved_at = [&](int64_t step) {
    return all_saved + (my.row * r.time + gru_time(r.time, my.direction, step)) * 5 * u;
  };
  SavedStep now = {};
  if (my.real) now = load_step(r, saved_at(r.time - 1), my.direction, my.row, my.unit, r.time - 1);
  float carry = 0;
  for (int64_t step = r.time - 1; step >= 0; --step) {
    const float dh = carry + now.dy;
    const GruGates d = gru_gate_gradients(now.gates, now.previous, dh);
    carry = dh * now.gates.z;
    float* shared = reinterpret_cast<float*>(gradients[step % 2][my.block_row]) + my.unit;
    shared[0] = d.z;
    shared[kUnits] = d.r;
    shared[2 * kUnits] = d.candidate;
    if (my.real) {
      float* saved = saved_at(step);
      saved[0] = d.z;
      saved[u] = d.r;
      saved[2 * u] = d.g;
      saved[3 * u] = d.candidate;
    }
    if (step == 0) break;  // the state before the first step is a constant
    __syncthreads();
    if (my.real) now = load_step(r, saved_at(step - 1), my.direction, my.row, my.unit, step - 1);
    float sums[Mine::kParts][1] = {};
    const float4* near = gradients[step % 2][my.block_row] + my.part;
    const float4* far = gradients[step % 2][1 - my.block_row] + my.part;
#pragma unroll
    for (int j = 0; j < kPieces; ++j) {
      const float4 a = near[Mine::kParts * j], b = far[Mine::kParts * j];
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int p = 0; p < kBackwardGroup; ++p) {
          sums[p][0] += weights[j][p][i] * lane_of(a, i);
          sums[p + kBackwardGroup][0] += weights[j][p][i] * lane_of(b, i);
        }
    }
    add_parts(sums);
    carry += sums[0][0];
  }
}

Launch shape(const char* name, const GruRecurrence& r, int padded_units) {
  return {name, {static_cast<int>(divide_up(r.batch, kRows)), 2}, {kRows * padded_units}};
}

}  // namespace

bool gru_persistent_fits(const Stream&, int64_t units) { return units <= kMostUnits; }

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
