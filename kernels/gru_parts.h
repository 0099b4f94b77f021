#pragma once

// What the threads of gru_persistent.cu are to one another and where each finds its numbers,
// forward and backward; included behind simt.h.

#include "kernels/gru_gates.h"

namespace etude::kernels::ETUDE_DEVICE::gru_parts {

inline constexpr int kRows = 2;  // batch rows a block

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

// The steps of one row and unit in memory, from `step` on: where the first one is, and how far the
// next.
struct Walk {
  __device__ Walk(const GruRecurrence& r, int64_t row, int direction, int my_unit, int64_t step,
                  int along)
      : units(static_cast<int>(r.units)),
        unit(my_unit),
        rows(direction == 0 ? along : -along),
        output_rows(r.last_only ? 0 : 2 * rows),
        time_row(row * r.time + gru_time(r.time, direction, step)),
        output(gru_output(r, direction, row, step) + unit) {}
  // In an array whose rows hold `width` times the units.
  __device__ int64_t first(int width) const { return time_row * width * units + unit; }
  __device__ int next(int width) const { return rows * width * units; }
  __device__ int next_output() const { return output_rows * units; }
  int units, unit, rows, output_rows;
  int64_t time_row, output;
};

// sums[0] = the sum over the group's parts of what belongs to this thread.
template <int kHalf, int kPlaces, int kColumns>
__device__ inline void add_halves(float (&sums)[kPlaces][kColumns]) {
#pragma unroll
  for (int p = 0; p < kHalf; ++p)
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      sums[p][c] += __shfl_xor_sync(0xffffffffu, sums[p + kHalf][c], kHalf);
  if constexpr (kHalf > 1) add_halves<kHalf / 2>(sums);
}
template <int kPlaces, int kColumns>
__device__ inline void add_parts(float (&sums)[kPlaces][kColumns]) {
  add_halves<kPlaces / 2>(sums);
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

}  // namespace etude::kernels::ETUDE_DEVICE::gru_parts
