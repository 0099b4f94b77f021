// The GRU's recurrence with all of a direction's weights in one SM's registers, as the tensor cores
// want them, for all steps. One block of 8 warps does 8 batch rows (the mma's n) of one direction;
// a warp owns 16 units of all three gates (m), so that the gates' arithmetic stays in the thread
// that has their sums. What a step hands to the next, h or the gates' gradients, goes through
// shared memory, rounded and in the order in which fragments are read, in two buffers by turns:
// one __syncthreads a step. The state that is carried on stays fp32.
//
// Bound, at 128 units, 96 batch rows and 50 steps (24 of an H100's 132 SMs work), a step and SM:
//   tensor cores    384 mma (tf32) or 192 (bf16): 384 or 192 clocks at the peak, of which mma.sync
//                   is said to reach two thirds;
//   instructions    of one warp in one step, mma included (sm_90a): 312 forward and 333 backward in
//                   tf32, 204 and 240 in bf16; a scheduler has two warps: twice as many clocks;
//   special         4 (tf32) or 3 (bf16) an element forward: 256 or 192 clocks;
//   memory          37 KB forward, 41 KB backward: 600 clocks at 64 bytes each, spread over the
//   step.
// They overlap in part. 0.13 us of latencies a step are any design's floor; the counts above are
// this one's. Expected 0.5 us in tf32, 0.35 in bf16. Measured: not yet, no GPU was at hand.
//
// Registers (no spills in any version): at 128 units sm_80 tf32 250 forward, 255 backward, bf16
// 216, 231; sm_90a 248, 253, 216, 242. Shared memory at most 98,688 bytes: sm_86 and sm_89, which
// run the code of sm_80, have 101,376.
//
// What was decided, and why:
// * Inputs of a step come by cp.async, two or three steps ahead: in tf32 no registers are left for
//   them, and they may come from DRAM.
// * Results leave straight from registers, behind the barrier: a warp's store covers whole sectors
//   (8 pairs of units side by side, 4 batch rows).
// * Copies and stores walk on pointers: indices computed each step doubled the instructions.
// * tf32's gates divide exactly (four_logistics). The hardware's tanh, 2^-11 off, would cost 50
//   steps more than tf32's rounding does: 4e-4 instead of 8e-5 of y, 8e-4 instead of 1e-4 of the
//   gradients (tests/test_kernel_gru_mma.cpp). bf16 takes it: 7e-4 and 1.2e-3 in all.
// * A thread sums its bias gradients over both of its rows, in 8 registers: 26 instructions a step
//   instead of a pass over all gradients. Which rows are padding need not be asked: theirs are 0.
// * Fewer units get smaller kernels: 32, 64 and 128, padded with zeros.
//
// Not tried: arriving at the barrier before the stores and waiting behind them; bulk stores of a
// step's rows from shared memory (sm_90); gru_cluster.cu does the same with two SMs a tile.

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

// Batch rows that each warp copies into a stage; the first of them.
template <int Padded>
inline constexpr int kRowsOfWarp = kBatchTile / (Padded / kWarpUnits);
template <int Padded>
__device__ inline int first_copied() {
  return static_cast<int>(threadIdx.x) / 32 * kRowsOfWarp<Padded>;
}

// A row of `units` floats, of Padded at most, by a warp.
template <int Padded>
__device__ inline void copy_row(float* to, const float* from, int units) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (units % 4 == 0) {
    if (lane * 4 < units) cp_async_16(to + lane * 4, from + lane * 4);
  } else {
#pragma unroll 1
    for (int n = 0; n < Padded / 32; ++n)
      if (lane + 32 * n < units) cp_async_4(to + lane + 32 * n, from + lane + 32 * n);
  }
}

// The warp's batch rows of so many parts, of which `there` exist; a part is Padded floats wide in
// a stage, and `units` in `from`.
template <int Padded, bool Whole, int Parts>
__device__ inline void copy_rows(float* to, int to_row, const float* from, int from_row, int there,
                                 int units) {
#pragma unroll
  for (int i = 0; i < kRowsOfWarp<Padded>; ++i)
    if (i < there)
#pragma unroll(Whole ? Parts : 1)
      for (int part = 0; part < Parts; ++part)
        copy_row<Padded>(to + i * to_row + part * Padded,
                         from + int64_t{i} * from_row + part * units, units);
}

__device__ inline float* next_stage(float* stage, float* stages, int size) {
  return stage == stages + (kStages - 1) * size ? stages : stage + size;
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
         DynamicShared::bytes<float>(kBiases * Padded) +
         DynamicShared::bytes<float>(kStages * kBatchTile * kForwardRow<Padded>);
}

template <int Padded, bool Whole, Precision precision>
__global__ void __launch_bounds__(2 * Padded, 1) forward(GruRecurrence recurrence) {
  constexpr int kChunks = chunks_of<precision>(Padded);
  constexpr int kRow = kForwardRow<Padded>, kStage = kBatchTile * kRow;
  constexpr int kUnits = Whole ? Padded : 0;
  const Tile t = tile_of<kUnits>(recurrence, static_cast<int>(blockIdx.x));
  const Owned own = owned();
  DynamicShared shared;
  uint4* states = shared.take<uint4>(2 * kChunks);
  float* biases = shared.take<float>(kBiases * Padded);
  float* stages = shared.take<float>(kStages * kStage);
  clear_shared(reinterpret_cast<float*>(states), 2 * kChunks * 4);
  clear_shared(biases, kBiases * Padded);
  clear_shared(stages, kStages * kStage);

  Weights<Padded, precision> weights;
  load_weights<Padded, precision>(weights, [&](int gate, int i, int k) {
    return own.unit + i < t.units && k < t.units
               ? t.recurrent_kernel[(k * 3 + gate) * t.units + own.unit + i]
               : 0.0f;
  });
  __syncthreads();  // the zeros lie before anything else comes
  for (int i = static_cast<int>(threadIdx.x); i < kBiases * t.units; i += 2 * Padded)
    biases[i / t.units * Padded + i % t.units] = t.bias_of(i / t.units, i % t.units);

  const int copied = first_copied<Padded>(), stride = t.stride();
  const float* from = t.projected + t.step_row(copied, 0) * 3 * t.units;
  const auto copy = [&](float* stage, int step) {
    if (step < t.time)
      copy_rows<Padded, Whole, 3>(stage + copied * kRow, kRow, from, t.time * 3 * t.units,
                                  t.rows - copied, t.units);
    cp_async_commit();
    from += 3 * stride;
  };
  copy(stages, 0);
  copy(stages + kStage, 1);
  cp_async_wait<1>();
  __syncthreads();

  const uint4* mine = states + chunk_place(fragment_lane().group, fragment_lane().member);
  float* stage = stages;
  float* next = stages + 2 * kStage;
  float* saved = t.saved + t.step_row(own.row, 0) * 5 * t.units;
  float* y = t.y + t.output(own.row, 0);
  float h[2][2] = {};
  for (int step = 0; step < t.time; ++step) {
    copy(next, step + 2);
    const int parity = step % 2;
    float c[3][4];
#pragma unroll
    for (int gate = 0; gate < 3; ++gate) {
      const float2 bias = load_pair(biases + gate * Padded + own.unit);
      c[gate][0] = c[gate][1] = bias.x;
      c[gate][2] = c[gate][3] = bias.y;
    }
#pragma unroll
    for (int chunk = 0; chunk < kChunks / 32; ++chunk) {
      const uint4 b = mine[parity * kChunks + chunk * 32];
#pragma unroll
      for (int gate = 0; gate < 3; ++gate)
        multiply_chunk<precision>(c[gate], weights[gate][chunk], b);
    }
    Gates s[2];
    const float2 bias_of_g = load_pair(biases + 3 * Padded + own.unit);
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const float* row = stage + (own.row + j) * kRow + own.unit;
      const float2 projected[3] = {load_pair(row), load_pair(row + Padded),
                                   add_pairs(load_pair(row + 2 * Padded), bias_of_g)};
      const float sums[3][2] = {
          {c[0][j], c[0][2 + j]}, {c[1][j], c[1][2 + j]}, {c[2][j], c[2][2 + j]}};
      s[j] = gates_of<precision>(sums, projected, h[j]);
      store_operand<precision>(states + (1 - parity) * kChunks, own.unit, own.row + j, h[j][0],
                               h[j][1]);
    }
    stage = next_stage(stage, stages, kStage);
    next = next_stage(next, stages, kStage);
    cp_async_wait<1>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 2; ++j)
      if (own.row + j < t.rows) {
        save<Whole>(saved + j * t.time * 5 * t.units, own.unit, t.units, s[j]);
        if (t.has_output(step)) store_pair<Whole>(y + j * t.output_row(), own.unit, t.units, h[j]);
      }
    saved += 5 * stride;
    y += t.output_stride();
  }
}

// ---- Backward

// Rows that there are not have gradients of 0.
__device__ inline void add_to_sums(float (&sums)[4][2], const Gradients& a, const Gradients& b) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    sums[0][i] += a.z[i] + b.z[i];
    sums[1][i] += a.r[i] + b.r[i];
    sums[2][i] += a.g[i] + b.g[i];
    sums[3][i] += a.candidate[i] + b.candidate[i];
  }
}

// The sums of the tile's eight rows, which the four members of a group have.
template <bool Whole>
__device__ inline void store_bias_parts(const GruRecurrence& r, const Tile& t, int unit,
                                        float (&sums)[4][2]) {
  float* part = bias_part(r, t);
#pragma unroll
  for (int n = 0; n < 4; ++n) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      sums[n][i] += __shfl_xor_sync(0xffffffffu, sums[n][i], 1);
      sums[n][i] += __shfl_xor_sync(0xffffffffu, sums[n][i], 2);
    }
    if (fragment_lane().member == 0) store_pair<Whole>(part + n * t.units, unit, t.units, sums[n]);
  }
}

// A row of what a step reads: the five saved, and dy.
template <int Padded>
inline constexpr int kBackwardRow = 6 * Padded + 4;

template <int Padded, Precision precision>
constexpr int64_t backward_shared() {
  return DynamicShared::bytes<uint4>(2 * 3 * chunks_of<precision>(Padded)) +
         DynamicShared::bytes<float>(kStages * kBatchTile * kBackwardRow<Padded>);
}

template <int Padded, bool Whole, Precision precision>
__global__ void __launch_bounds__(2 * Padded, 1) backward(GruRecurrence recurrence) {
  constexpr int kChunks = chunks_of<precision>(Padded);
  constexpr int kRow = kBackwardRow<Padded>, kStage = kBatchTile * kRow;
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
  const int copied = first_copied<Padded>(), stride = t.stride();
  const float* from = t.saved + t.step_row(copied, t.time - 1) * 5 * t.units;
  const float* dy = t.dy + t.output(copied, t.time - 1);
  const auto copy = [&](float* stage, int step) {
    if (step >= 0)
      copy_rows<Padded, Whole, 5>(stage + copied * kRow, kRow, from, t.time * 5 * t.units,
                                  t.rows - copied, t.units);
    if (step >= 0 && t.has_output(step))
      copy_rows<Padded, Whole, 1>(stage + copied * kRow + 5 * Padded, kRow, dy, t.output_row(),
                                  t.rows - copied, t.units);
    cp_async_commit();
    from -= 5 * stride;
    dy -= t.output_stride();
  };
  for (int n = 0; n < kStages; ++n) copy(stages + n * kStage, t.time - 1 - n);
  cp_async_wait<kStages - 1>();
  __syncthreads();

  const uint4* mine = operands + chunk_place(fragment_lane().group, fragment_lane().member);
  float* stage = stages;
  float* saved = t.saved + t.step_row(own.row, t.time - 1) * 5 * t.units;
  float dh[2][2] = {};
  float bias[4][2] = {};  // gradients, summed over steps and the thread's rows
  for (int step = t.time - 1; step >= 0; --step) {
    const int parity = step % 2 * 3 * kChunks;
    uint4* operand = operands + parity;
    Gradients d[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int row = own.row + j;
      float2 in[6];
#pragma unroll
      for (int part = 0; part < 6; ++part)
        in[part] = load_pair(stage + row * kRow + part * Padded + own.unit);
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
        save<Whole>(saved + j * t.time * 5 * t.units, own.unit, t.units, d[j]);
    add_to_sums(bias, d[0], d[1]);
    saved -= 5 * stride;
    copy(stage, step - kStages);
    stage = next_stage(stage, stages, kStage);
    if (step == 0) continue;
    float c[3][4] = {};
#pragma unroll
    for (int chunk = 0; chunk < kChunks / 32; ++chunk)
#pragma unroll
      for (int gate = 0; gate < 3; ++gate)
        multiply_chunk<precision>(c[gate], weights[gate][chunk],
                                  mine[parity + gate * kChunks + chunk * 32]);
#pragma unroll
    for (int i = 0; i < 4; ++i) dh[i % 2][i / 2] += c[0][i] + c[1][i] + c[2][i];
  }
  if (recurrence.bias_parts) store_bias_parts<Whole>(recurrence, t, own.unit, bias);
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

int64_t gru_mma_parts(int64_t batch) { return divide_up(batch, kBatchTile); }

void gru_mma_forward(const Stream& stream, const GruRecurrence& r) {
  launch_version(stream, "gru_mma_forward", r, true);
}

void gru_mma_backward(const Stream& stream, const GruRecurrence& r) {
  launch_version(stream, "gru_mma_backward", r, false);
}

}  // namespace etude::kernels::ETUDE_DEVICE
