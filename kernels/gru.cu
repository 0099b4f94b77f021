// What of a bidirectional GRU is not the recurrence: matrix products over all steps, and the bias
// gradients. The recurrence's versions are in gru_stepwise.cu, gru_persistent.cu, gru_mma.cu and
// gru_cluster.cu.
//
// At the paper's sizes (96 x 50 rows, 128 units, in 100 or 256), both directions, forward: 0.74 or
// 1.89 GFLOP of x W and 14.7 MB written, which stay in the second-level cache: 5 us at least.
// Backward, dx, dW and dR: 2.4 or 4.7 GFLOP, 12 us at 400 TFLOP/s (TF32) and 80 us in fp32 (60
// TFLOP/s); the two gates of dR that `r` does not touch are one product, the third another, for dg
// stands between them. The products of dW and dR are small and their sums long (4,800): they live
// on cuBLAS cutting the sums into parts, which is why they are not batched over the directions, as
// x W is. Measured: not yet, no GPU was at hand.
//
// The input bias is added by the recurrence, which has a bias to add anyway. For the stepwise one a
// kernel does it that reads and writes 14.7 MB more: 5 us and a launch.
//
// Bias gradients: the recurrence sums them over its steps, a part of the batch a block. For the
// stepwise one 19.7 MB are read once, from the second-level cache where they were just written, 5
// us at least, in one launch for all columns of both directions. Another launch adds the parts.
// Registers (sm_80; sm_90a): add_bias 26; 26, bias_partials 34; 40, bias_gradients 32; 32. No
// spills.

#include "kernels/gru.h"

#include <string>

#include "kernels/device.h"
#include "kernels/gru_recurrence.h"
#include "kernels/matmul.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kMostParts = 64;
constexpr int64_t kAlignment = 16;  // floats: pieces of saved and scratch begin on 64 bytes

int64_t aligned(int64_t count) { return divide_up(count, kAlignment) * kAlignment; }

int64_t rows_of(const GruShape& s) { return s.batch * s.time; }
int64_t saved_floats(const GruShape& s) { return aligned(rows_of(s) * 5 * s.units); }
int64_t projected_floats(const GruShape& s) { return aligned(rows_of(s) * 3 * s.units); }
int64_t step_floats(const GruShape& s) { return aligned(2 * s.batch * 5 * s.units); }

int64_t rows_a_part(const GruShape& s) { return divide_up(rows_of(s), kMostParts); }
int64_t parts(const GruShape& s) { return divide_up(rows_of(s), rows_a_part(s)); }
int64_t part_floats(const GruShape& s) {
  int64_t most = parts(s);
  for (const int64_t made :
       {gru_persistent_parts(s.batch), gru_mma_parts(s.batch), gru_cluster_parts(s.batch)})
    most = made > most ? made : most;
  return aligned(2 * most * 4 * s.units);
}

// partials [2, parts, 4 units]: sums of z, r, g and the candidate over `rows_a_part` rows.
__global__ void bias_partials(int64_t rows, int64_t rows_a_part, int64_t units,
                              const float* forward, const float* backward, float* partials) {
  const int64_t column = global_thread();
  if (column >= 4 * units) return;
  const float* x = (blockIdx.z == 0 ? forward : backward) + column;
  const int64_t begin = blockIdx.y * rows_a_part, end = min(begin + rows_a_part, rows);
  float sum = 0;
#pragma unroll 16
  for (int64_t row = begin; row < end; ++row) sum += x[row * 5 * units];
  partials[(static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * 4 * units + column] = sum;
}

struct BiasGradients {
  float *bias, *recurrent;
};

__device__ inline void put(float* to, float value, Write write) {
  *to = write == Write::add ? *to + value : value;
}

__global__ void bias_gradients(int64_t parts, int64_t units, const float* partials,
                               BiasGradients forward, BiasGradients backward, Write write) {
  const int64_t column = global_thread();
  if (column >= 4 * units) return;
  const BiasGradients gradients = blockIdx.y == 0 ? forward : backward;
  const float* x = partials + blockIdx.y * parts * 4 * units + column;
  float sum = 0;
#pragma unroll 32
  for (int64_t part = 0; part < parts; ++part) sum += x[part * 4 * units];
  const int64_t gate = column / units;
  if (gate < 3) put(gradients.bias + column, sum, write);
  if (gate < 2) put(gradients.recurrent + column, sum, write);
  if (gate == 3) put(gradients.recurrent + column - units, sum, write);
}

// projected [2, rows, columns], pieces `stride` apart.
__global__ void add_bias(int64_t rows, int64_t columns, int64_t stride, const float* forward,
                         const float* backward, float* projected) {
  const float* bias = blockIdx.y == 0 ? forward : backward;
  float* x = projected + blockIdx.y * stride;
  for (int64_t i = global_thread(); i < rows * columns; i += grid_threads())
    x[i] += bias[i % columns];
}

bool fits(const Stream& stream, GruVersion version, int64_t units) {
  switch (version) {
    case GruVersion::mma:
      return gru_mma_fits(stream, units);
    case GruVersion::persistent:
      return gru_persistent_fits(stream, units);
    case GruVersion::cluster:
      return gru_cluster_fits(stream, units);
    default:
      return true;
  }
}

// The fastest version that can.
GruVersion choose(const Stream& stream, const GruShape& s) {
  if (s.version != GruVersion::automatic) {
    if (!fits(stream, s.version, s.units))
      throw DeviceError("gru: this version cannot do " + std::to_string(s.units) +
                        " units at this precision: persistent has 128 at most, in any; mma 128, in "
                        "tf32 and bf16; cluster multiples of 16 up to 512, in tf32 and bf16");
    return s.version;
  }
  for (const auto version : {GruVersion::mma, GruVersion::persistent, GruVersion::cluster})
    if (fits(stream, version, s.units)) return version;
  return GruVersion::stepwise;
}

// Whether a version adds the input bias itself, and sums its gradients over parts of the batch.
bool does_biases(GruVersion version) { return version != GruVersion::stepwise; }

void run_forward(const Stream& stream, GruVersion version, const GruRecurrence& r, float* scratch) {
  switch (version) {
    case GruVersion::persistent:
      return gru_persistent_forward(stream, r);
    case GruVersion::mma:
      return gru_mma_forward(stream, r);
    case GruVersion::cluster:
      return gru_cluster_forward(stream, r);
    default:
      return gru_stepwise_forward(stream, r, scratch);
  }
}

void run_backward(const Stream& stream, GruVersion version, const GruRecurrence& r,
                  float* scratch) {
  switch (version) {
    case GruVersion::persistent:
      return gru_persistent_backward(stream, r);
    case GruVersion::mma:
      return gru_mma_backward(stream, r);
    case GruVersion::cluster:
      return gru_cluster_backward(stream, r);
    default:
      return gru_stepwise_backward(stream, r, scratch);
  }
}

GruRecurrence recurrence(const GruShape& s, const GruWeights (&weights)[2], float* saved) {
  GruRecurrence r = {};
  r.batch = s.batch;
  r.time = s.time;
  r.units = s.units;
  r.last_only = s.last_only;
  for (int d = 0; d < 2; ++d) {
    r.recurrent_kernel[d] = weights[d].recurrent_kernel;
    r.recurrent_bias[d] = weights[d].recurrent_bias;
    r.saved[d] = saved + d * saved_floats(s);
  }
  return r;
}

void add_bias_to(const Stream& stream, const GruShape& s, const GruWeights (&weights)[2],
                 float* projected) {
  Extent grid = elementwise_grid(rows_of(s) * 3 * s.units, kThreads);
  grid.y = 2;
  launch(stream, {"gru_add_bias", grid, {kThreads}}, add_bias, rows_of(s), 3 * s.units,
         projected_floats(s), weights[0].bias, weights[1].bias, projected);
}

void weight_gradients(const Stream& stream, const GruShape& s, const float* x, const float* saved,
                      const GruWeightGradients& g, Write write) {
  const int64_t u = s.units, rows = rows_of(s);
  matmul(stream, s.in, 3 * u, rows, {x, s.in, Transpose::yes}, {saved, 5 * u}, g.dkernel, 3 * u,
         write);
  const MatrixView previous = {saved + 4 * u, 5 * u, Transpose::yes};
  matmul(stream, u, 2 * u, rows, previous, {saved, 5 * u}, g.drecurrent_kernel, 3 * u, write);
  matmul(stream, u, u, rows, previous, {saved + 3 * u, 5 * u}, g.drecurrent_kernel + 2 * u, 3 * u,
         write);
}

// How many there are; makes them unless the recurrence has.
int64_t make_bias_parts(const Stream& stream, GruVersion version, const GruShape& s,
                        const GruRecurrence& r) {
  if (version == GruVersion::persistent) return gru_persistent_parts(s.batch);
  if (version == GruVersion::mma) return gru_mma_parts(s.batch);
  if (version == GruVersion::cluster) return gru_cluster_parts(s.batch);
  const Extent grid = {static_cast<int>(divide_up(4 * s.units, kThreads)),
                       static_cast<int>(parts(s)), 2};
  launch(stream, {"gru_bias_partials", grid, {kThreads}}, bias_partials, rows_of(s), rows_a_part(s),
         s.units, r.saved[0], r.saved[1], r.bias_parts);
  return parts(s);
}

}  // namespace

int64_t bidirectional_gru_saved(const GruShape& s) { return 2 * saved_floats(s); }

int64_t bidirectional_gru_scratch(const GruShape& s) {
  const int64_t forward = 2 * projected_floats(s), backward = part_floats(s);
  return step_floats(s) + (forward > backward ? forward : backward);
}

void bidirectional_gru_forward(const Stream& stream, const GruShape& s,
                               const GruWeights (&weights)[2], const float* x, float* y,
                               float* saved, float* scratch) {
  const int64_t gates = 3 * s.units;
  float* projected = scratch + step_floats(s);
  matmul_batched(stream, 2, {0, weights[1].kernel - weights[0].kernel, projected_floats(s)},
                 rows_of(s), gates, s.in, {x, s.in}, {weights[0].kernel, gates}, projected, gates,
                 Write::overwrite);
  const GruVersion version = choose(stream, s);
  GruRecurrence r = recurrence(s, weights, saved);
  r.y = y;
  for (int d = 0; d < 2; ++d) {
    r.projected[d] = projected + d * projected_floats(s);
    if (does_biases(version)) r.bias[d] = weights[d].bias;
  }
  if (!does_biases(version)) add_bias_to(stream, s, weights, projected);
  run_forward(stream, version, r, scratch);
}

void bidirectional_gru_backward(const Stream& stream, const GruShape& s,
                                const GruWeights (&weights)[2], const float* x, const float* dy,
                                float* saved, float* scratch, float* dx, Write dx_write,
                                const GruWeightGradients (&gradients)[2], Write weights_write) {
  GruRecurrence r = recurrence(s, weights, saved);
  r.dy = dy;
  r.bias_parts = scratch + step_floats(s);
  const GruVersion version = choose(stream, s);
  run_backward(stream, version, r, scratch);
  const int64_t made = make_bias_parts(stream, version, s, r);
  launch(
      stream,
      {"gru_bias_gradients", {static_cast<int>(divide_up(4 * s.units, kThreads)), 2}, {kThreads}},
      bias_gradients, made, s.units, r.bias_parts,
      BiasGradients{gradients[0].dbias, gradients[0].drecurrent_bias},
      BiasGradients{gradients[1].dbias, gradients[1].drecurrent_bias}, weights_write);
  const int64_t gates = 3 * s.units;
  for (int d = 0; d < 2; ++d) {
    weight_gradients(stream, s, x, r.saved[d], gradients[d], weights_write);
    if (dx)
      matmul(stream, rows_of(s), s.in, gates, {r.saved[d], 5 * s.units},
             {weights[d].kernel, gates, Transpose::yes}, dx, s.in, d == 0 ? dx_write : Write::add);
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
