// (head comment)

#include "kernels/simt/simt.h"

#include "kernels/gru_fragments.h"
#include "kernels/gru_pairs.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kStages = 3;  // steps whose inputs are on their way or in use

// This thread's two neighbouring units and two neighbouring batch rows.
struct Owned {
  int unit, row;
};
__device__ inline Owned owned() {
  const Lane lane = fragment_lane();
  return {static_cast<int>(threadIdx.x) / 32 * kWarpUnits + 2 * lane.group, 2 * lane.member};
}

// Batch rows that each warp copies.
template <int Padded>
inline constexpr int kRowsOfWarp = kBatchTile / (Padded / kWarpUnits);

// One row of `units` floats into shared memory, by a warp.
__device__ inline void copy_row(float* to, const float* from, int units) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (units % 4 == 0) {
    for (int i = lane * 4; i < units; i += 128) cp_async_16(to + i, from + i);
  } else {
    for (int i = lane; i < units; i += 32) cp_async_4(to + i, from + i);
  }
}

__device__ inline void clear_shared(float* shared, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x))
    shared[i] = 0;
}

// ---- Forward

// A row of the staged projections: three gates. The 4 put neighbouring pairs of rows on other
// banks.
template <int Padded>
inline constexpr int kForwardRow = 3 * Padded + 4;

template <int Padded, Precision precision>
constexpr int64_t forward_shared() {
  return DynamicShared::bytes<uint4>(2 * chunks_of<precision>(Padded)) +
         DynamicShared::bytes<float>(3 * Padded) +
         DynamicShared::bytes<float>(kStages * kBatchTile * kForwardRow<Padded>);
}

template <int Padded, bool Whole>
__device__ inline void stage_forward(const Tile& t, float* stages, int step) {
  float* stage = stages + step % kStages * (kBatchTile * kForwardRow<Padded>);
#pragma unroll
  for (int i = 0; i < kRowsOfWarp<Padded>; ++i) {
    const int row = static_cast<int>(threadIdx.x) / 32 * kRowsOfWarp<Padded> + i;
    if (row >= t.rows || step >= t.time) continue;
#pragma unroll(Whole ? 3 : 1)
    for (int gate = 0; gate < 3; ++gate)
      copy_row(stage + row * kForwardRow<Padded> + gate * Padded,
               t.projected + (t.step_row(row, step) * 3 + gate) * t.units, t.units);
  }
  cp_async_commit();
}

template <int Padded, bool Whole, Precision precision>
__global__ void __launch_bounds__(2 * Padded, 1) forward(GruRecurrence recurrence) {
  constexpr int kChunks = chunks_of<precision>(Padded);
  constexpr int kUnits = Whole ? Padded : 0;
  const Tile t = tile_of<kUnits>(recurrence, static_cast<int>(blockIdx.x));
  const Owned own = owned();
  DynamicShared shared;
  uint4* states = shared.take<uint4>(2 * kChunks);
  float* biases = shared.take<float>(3 * Padded);
  float* stages = shared.take<float>(kStages * kBatchTile * kForwardRow<Padded>);
  clear_shared(reinterpret_cast<float*>(states), 2 * kChunks * 4);
  clear_shared(biases, 3 * Padded);
  clear_shared(stages, kStages * kBatchTile * kForwardRow<Padded>);

  Weights<Padded, precision> weights;
  load_weights<Padded, precision>(weights, [&](int gate, int i, int k) {
    return own.unit + i < t.units && k < t.units
               ? t.recurrent_kernel[(k * 3 + gate) * t.units + own.unit + i]
               : 0.0f;
  });
  float h[2][2] = {};
  __syncthreads();  // the zeros lie before anything else comes
  for (int i = static_cast<int>(threadIdx.x); i < 3 * t.units; i += 2 * Padded)
    biases[i / t.units * Padded + i % t.units] = t.recurrent_bias[i];

  stage_forward<Padded, Whole>(t, stages, 0);
  stage_forward<Padded, Whole>(t, stages, 1);
  cp_async_wait<1>();
  __syncthreads();

  const int mine = chunk_place(fragment_lane().group, fragment_lane().member);
  for (int step = 0; step < t.time; ++step) {
    stage_forward<Padded, Whole>(t, stages, step + 2);
    const uint4* state = states + step % 2 * kChunks;
    float c[3][4];
#pragma unroll
    for (int gate = 0; gate < 3; ++gate) {
      const float2 bias = load_pair(biases + gate * Padded + own.unit);
      c[gate][0] = c[gate][1] = bias.x;
      c[gate][2] = c[gate][3] = bias.y;
    }
#pragma unroll
    for (int chunk = 0; chunk < kChunks / 32; ++chunk) {
      const uint4 b = state[chunk * 32 + mine];
#pragma unroll
      for (int gate = 0; gate < 3; ++gate)
        multiply_chunk<precision>(c[gate], weights[gate][chunk], b);
    }
    const float* stage = stages + step % kStages * (kBatchTile * kForwardRow<Padded>);
    Gates s[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const float* row = stage + (own.row + j) * kForwardRow<Padded> + own.unit;
      const float2 projected[3] = {load_pair(row), load_pair(row + Padded),
                                   load_pair(row + 2 * Padded)};
      const float sums[3][2] = {
          {c[0][j], c[0][2 + j]}, {c[1][j], c[1][2 + j]}, {c[2][j], c[2][2 + j]}};
      s[j] = gates_of<precision>(sums, projected, h[j]);
      store_operand<precision>(states + (step + 1) % 2 * kChunks, own.unit, own.row + j, h[j][0],
                               h[j][1]);
    }
    cp_async_wait<1>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 2; ++j)
      if (own.row + j < t.rows) {
        save(t.saved + t.step_row(own.row + j, step) * 5 * t.units, own.unit, t.units, s[j]);
        if (t.has_output(step))
          store_pair(t.y + t.output(own.row + j, step), own.unit, t.units, h[j]);
      }
  }
}

// ---- Backward

// A row of what a step reads: the five saved, and dy.
template <int Padded>
inline constexpr int kBackwardRow = 6 * Padded + 4;

template <int Padded, Precision precision>
constexpr int64_t backward_shared() {
  return DynamicShared::bytes<uint4>(2 * 3 * chunks_of<precision>(Padded)) +
         DynamicShared::bytes<float>(kStages * kBatchTile * kBackwardRow<Padded>);
}

template <int Padded, bool Whole>
__device__ inline void stage_backward(const Tile& t, float* stage, int step) {
#pragma unroll
  for (int i = 0; i < kRowsOfWarp<Padded>; ++i) {
    const int row = static_cast<int>(threadIdx.x) / 32 * kRowsOfWarp<Padded> + i;
    if (row >= t.rows || step < 0) continue;
    float* to = stage + row * kBackwardRow<Padded>;
#pragma unroll(Whole ? 5 : 1)
    for (int part = 0; part < 5; ++part)
      copy_row(to + part * Padded, t.saved + (t.step_row(row, step) * 5 + part) * t.units, t.units);
    if (t.has_output(step)) copy_row(to + 5 * Padded, t.dy + t.output(row, step), t.units);
  }
  cp_async_commit();
}

template <int Padded, bool Whole, Precision precision>
__global__ void __launch_bounds__(2 * Padded, 1) backward(GruRecurrence recurrence) {
  constexpr int kChunks = chunks_of<precision>(Padded), kStage = kBatchTile * kBackwardRow<Padded>;
  constexpr int kUnits = Whole ? Padded : 0;
  const Tile t = tile_of<kUnits>(recurrence, static_cast<int>(blockIdx.x));
  const Owned own = owned();
  DynamicShared shared;
  uint4* operands = shared.take<uint4>(2 * 3 * kChunks);
  float* stages = shared.take<float>(kStages * kStage);
  clear_shared(reinterpret_cast<float*>(operands), 2 * 3 * kChunks * 4);
  clear_shared(stages, kStages * kStage);

  Weights<Padded, precision> weights;
  load_weights<Padded, precision>(weights, [&](int gate, int i, int k) {
    return own.unit + i < t.units && k < t.units
               ? t.recurrent_kernel[((own.unit + i) * 3 + gate) * t.units + k]
               : 0.0f;
  });

  __syncthreads();  // the zeros lie before copies come
  for (int n = 0; n < kStages; ++n)
    stage_backward<Padded, Whole>(t, stages + n * kStage, t.time - 1 - n);
  cp_async_wait<kStages - 1>();
  __syncthreads();

  const int mine = chunk_place(fragment_lane().group, fragment_lane().member);
  float dh[2][2] = {};
  float* stage = stages;
  for (int step = t.time - 1; step >= 0; --step) {
    uint4* operand = operands + step % 2 * 3 * kChunks;
    Gradients d[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int row = own.row + j;
      float2 in[6];
#pragma unroll
      for (int part = 0; part < 6; ++part)
        in[part] = load_pair(stage + row * kBackwardRow<Padded> + part * Padded + own.unit);
      if (!t.has_output(step)) in[5] = make_float2(0, 0);
      d[j] = gradients_of(in, dh[j]);
      store_operand<precision>(operand, own.unit, row, d[j].z[0], d[j].z[1]);
      store_operand<precision>(operand + kChunks, own.unit, row, d[j].r[0], d[j].r[1]);
      store_operand<precision>(operand + 2 * kChunks, own.unit, row, d[j].candidate[0],
                               d[j].candidate[1]);
    }
    cp_async_wait<kStages - 2>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 2; ++j)
      if (own.row + j < t.rows)
        save(t.saved + t.step_row(own.row + j, step) * 5 * t.units, own.unit, t.units, d[j]);
    stage_backward<Padded, Whole>(t, stage, step - kStages);
    stage = stage == stages + (kStages - 1) * kStage ? stages : stage + kStage;
    if (step == 0) continue;
    float c[3][4] = {};
#pragma unroll
    for (int chunk = 0; chunk < kChunks / 32; ++chunk)
#pragma unroll
      for (int gate = 0; gate < 3; ++gate)
        multiply_chunk<precision>(c[gate], weights[gate][chunk],
                                  operand[gate * kChunks + chunk * 32 + mine]);
#pragma unroll
    for (int i = 0; i < 4; ++i) dh[i % 2][i / 2] += c[0][i] + c[1][i] + c[2][i];
  }
}

// ---- Launches

struct Version {
  void (*kernel)(GruRecurrence);
  int padded;
  int64_t shared_bytes;
};

template <int Padded, Precision precision>
struct Versions {
  static Version forward(bool whole) {
    return {whole ? ETUDE_DEVICE::forward<Padded, true, precision>
                  : ETUDE_DEVICE::forward<Padded, false, precision>,
            Padded, forward_shared<Padded, precision>()};
  }
  static Version backward(bool whole) {
    return {whole ? ETUDE_DEVICE::backward<Padded, true, precision>
                  : ETUDE_DEVICE::backward<Padded, false, precision>,
            Padded, backward_shared<Padded, precision>()};
  }
};

template <int Padded>
Version version_of(Precision precision, bool whole, bool is_forward) {
  using Tf32 = Versions<Padded, Precision::tf32>;
  using Bf16 = Versions<Padded, Precision::bf16>;
  if (precision == Precision::tf32)
    return is_forward ? Tf32::forward(whole) : Tf32::backward(whole);
  return is_forward ? Bf16::forward(whole) : Bf16::backward(whole);
}

void launch_version(const Stream& stream, const char* name, const GruRecurrence& r,
                    bool is_forward) {
  const Precision p = stream.precision;
  const Version version = r.units <= 32   ? version_of<32>(p, r.units == 32, is_forward)
                          : r.units <= 64 ? version_of<64>(p, r.units == 64, is_forward)
                                          : version_of<128>(p, r.units == 128, is_forward);
  const int tiles = static_cast<int>(divide_up(r.batch, kBatchTile));
  launch(stream, {name, {tiles, 2}, {2 * version.padded}, version.shared_bytes}, version.kernel, r);
}

}  // namespace

bool gru_mma_fits(const Stream& stream, int64_t units) {
  return stream.precision != Precision::fp32 && units <= 128;
}

void gru_mma_forward(const Stream& stream, const GruRecurrence& r) {
  launch_version(stream, "gru_mma_forward", r, true);
}

void gru_mma_backward(const Stream& stream, const GruRecurrence& r) {
  launch_version(stream, "gru_mma_backward", r, false);
}

}  // namespace etude::kernels::ETUDE_DEVICE
