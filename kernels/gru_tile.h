#pragma once

// The part of a GRU's recurrence that a block of gru_mma.cu, or a cluster of gru_cluster.cu, works
// on, and how its threads reach pairs of neighbouring units there. Included behind simt.h.

#include "kernels/gru_recurrence.h"

namespace etude::kernels::ETUDE_DEVICE {

constexpr int kBatchTile = 8;  // n of an mma
constexpr int kBiases = 4;     // a unit's: of the sums of z and r, of the candidate, of g

// What one block sees of a recurrence: one direction, eight batch rows.
struct Tile {
  const float *projected, *recurrent_kernel, *bias, *recurrent_bias, *dy;
  float *saved, *y;
  int first;  // batch row of the tile's first
  int rows;   // that there are, of kBatchTile
  int time, units;
  bool reverse, last_only;

  __device__ int64_t step_row(int row, int step) const {
    return (first + row) * time + (reverse ? time - 1 - step : step);
  }
  // b and c are one for z and r. Without b, `projected` has it.
  __device__ float bias_of(int which, int unit) const {
    const float of_input = bias && which != 2 ? bias[min(which, 2) * units + unit] : 0.0f;
    return which == 3 ? of_input : recurrent_bias[which * units + unit] + of_input;
  }
  __device__ bool has_output(int step) const { return !last_only || step == time - 1; }
  // Where the direction's half of y and dy is.
  __device__ int64_t output(int row, int step) const {
    return ((last_only ? first + row : step_row(row, step)) * 2 + reverse) * units;
  }
  // From a step to the next, in an array of rows of `units`; in y and dy; and there from a batch
  // row to the next.
  __device__ int stride() const { return reverse ? -units : units; }
  __device__ int output_stride() const { return last_only ? 0 : 2 * stride(); }
  __device__ int output_row() const { return (last_only ? 1 : time) * 2 * units; }
};

// Of the batch tile of that number, in the direction blockIdx.y. Units: 0 if not known when
// compiled.
template <int Units>
__device__ inline Tile tile_of(const GruRecurrence& r, int number) {
  const bool reverse = blockIdx.y == 1;
  Tile t;
  t.projected = reverse ? r.projected[1] : r.projected[0];
  t.recurrent_kernel = reverse ? r.recurrent_kernel[1] : r.recurrent_kernel[0];
  t.bias = reverse ? r.bias[1] : r.bias[0];
  t.recurrent_bias = reverse ? r.recurrent_bias[1] : r.recurrent_bias[0];
  t.saved = reverse ? r.saved[1] : r.saved[0];
  t.units = Units ? Units : static_cast<int>(r.units);
  t.y = r.y;
  t.dy = r.dy;
  t.first = number * kBatchTile;
  t.rows = min(kBatchTile, static_cast<int>(r.batch) - t.first);
  t.time = static_cast<int>(r.time);
  t.reverse = reverse;
  t.last_only = r.last_only;
  return t;
}

__device__ inline float2 load_pair(const float* from) {
  return *reinterpret_cast<const float2*>(from);
}

__device__ inline float2 add_pairs(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }

// Where the sums of a tile's bias gradients go: 4 rows of units.
__device__ inline float* bias_part(const GruRecurrence& r, const Tile& t) {
  const int64_t tiles = divide_up(r.batch, kBatchTile);
  return r.bias_parts + (t.reverse * tiles + t.first / kBatchTile) * 4 * t.units;
}

// Units `unit` (even) and unit + 1 of a row of so many. Whole: they are there, and on an 8-byte
// boundary.
template <bool Whole>
__device__ inline void store_pair(float* row, int unit, int units, const float (&x)[2]) {
  if (Whole) {
    *reinterpret_cast<float2*>(row + unit) = make_float2(x[0], x[1]);
  } else if (units % 2 == 0) {
    if (unit < units) *reinterpret_cast<float2*>(row + unit) = make_float2(x[0], x[1]);
  } else {
    if (unit < units) row[unit] = x[0];
    if (unit + 1 < units) row[unit + 1] = x[1];
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
