#pragma once

// What the GRU recurrences on tensor cores (gru_mma.cu, gru_cluster.cu) share: how weights and
// states are laid out for them, and the gates' functions. Included by those two alone, behind
// simt.h.
//
// A product is W S, the weights' rows as the mma's m, batch rows as its n (8, the least there is).
// Which unit stands in which row of a fragment, and which in which of its k, is free as long as
// both operands agree. Chosen:
// * m: rows g and g + 8 of a fragment are neighbouring units 2g and 2g + 1. A thread then holds
//   pairs of units of two batch rows, and pairs is what it loads and stores.
// * k: a thread's operand b for two mmas in a row is one chunk of 16 bytes: for tf32 four units in
//   their order, for bf16 four of a block of 16 and four of the next.

#include "kernels/gru_recurrence.h"

namespace etude::kernels::ETUDE_DEVICE {

constexpr int kBatchTile = 8;   // n of an mma
constexpr int kWarpUnits = 16;  // m of an mma

// Units that one chunk from each of a warp's lanes covers, by two mmas.
template <Precision precision>
inline constexpr int kChunkUnits = precision == Precision::tf32 ? 16 : 32;

// One operand b in shared memory: kBatchTile states of so many units, rounded.
template <Precision precision>
__host__ __device__ constexpr int chunks_of(int units) {
  return units / kChunkUnits<precision> * 32;
}

// Which of 32 chunks is that of a batch row and a member (four neighbours of 16 units). Without the
// exclusive or, the four batch rows that a warp's store touches at once would share their banks.
__device__ inline int chunk_place(int batch_row, int member) {
  const int pair = batch_row / 2;
  return pair * 8 + ((pair ^ (batch_row % 2 * 2 + member / 2)) * 2) + member % 2;
}

// Where a thread stands in its warp's fragments.
struct Lane {
  int group, member;
};
__device__ inline Lane fragment_lane() {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return {lane / 4, lane % 4};
}

// The thread's part of the weights of 16 rows, for one chunk. weight(i, k): of row i (0, 1: this
// thread's two) and unit k.
template <Precision precision, typename Weight>
__device__ inline void load_weights(uint32_t (&a)[2][4], int chunk, int member, Weight weight) {
#pragma unroll
  for (int half = 0; half < 2; ++half)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (precision == Precision::tf32) {
        const int k = chunk * 16 + member * 4 + half * 2 + i / 2;
        a[half][i] = to_tf32(weight(i % 2, k));
      } else {
        const int k = chunk * 32 + half * 16 + member * 4 + i / 2 * 2;
        a[half][i] = pack_bf16(weight(i % 2, k), weight(i % 2, k + 1));
      }
    }
}

// c[2 i + j] += the chunk's part of the product, for the thread's unit i and batch row j.
template <Precision precision>
__device__ inline void multiply_chunk(float (&c)[4], const uint32_t (&a)[2][4], const uint4& b) {
  const uint32_t low[2] = {b.x, b.y}, high[2] = {b.z, b.w};
  if constexpr (precision == Precision::tf32) {
    mma_tf32(c, a[0], low);
    mma_tf32(c, a[1], high);
  } else {
    mma_bf16(c, a[0], low);
    mma_bf16(c, a[1], high);
  }
}

// Writes the states of units `unit` (even) and unit + 1 of one batch row, rounded.
template <Precision precision>
__device__ inline void store_operand(uint4* operand, int unit, int batch_row, float first,
                                     float second) {
  const int place = chunk_place(batch_row, unit % 16 / 4), word = unit % 4 / 2;
  if constexpr (precision == Precision::tf32) {
    uint2* half = reinterpret_cast<uint2*>(operand + unit / 16 * 32 + place) + word;
    *half = make_uint2(to_tf32(first), to_tf32(second));
  } else {
    uint32_t* words = reinterpret_cast<uint32_t*>(operand + unit / 32 * 32 + place);
    words[unit / 16 % 2 * 2 + word] = pack_bf16(first, second);
  }
}

// No argument is below -20 in effect: a logistic function is 2e-9 there. NaN stays NaN.
__device__ inline float bounded(float x) { return x < -20.0f ? -20.0f : x; }

// Four values of the logistic function for the price of one division: special functions, of which
// an SM has 16 a clock, are what the gates wait for. The product of four denominators stays below
// 2^117.
__device__ inline void four_logistics(float (&x)[4]) {
  float d[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) d[i] = 1.0f + __expf(-bounded(x[i]));
  const float low = d[0] * d[1], high = d[2] * d[3], inverse = __fdividef(1.0f, low * high);
  x[0] = inverse * high * d[1];
  x[1] = inverse * high * d[0];
  x[2] = inverse * low * d[3];
  x[3] = inverse * low * d[2];
}

// z and r of a pair of units, in place of their sums.
template <Precision precision>
__device__ inline void gates_of_pair(float (&z)[2], float (&r)[2]) {
  if constexpr (precision == Precision::bf16) {
    z[0] = sigmoid_approx(z[0]);
    z[1] = sigmoid_approx(z[1]);
    r[0] = sigmoid_approx(r[0]);
    r[1] = sigmoid_approx(r[1]);
  } else {
    float x[4] = {z[0], z[1], r[0], r[1]};
    four_logistics(x);
    z[0] = x[0];
    z[1] = x[1];
    r[0] = x[2];
    r[1] = x[3];
  }
}

// tanh of a pair, in its place: 2 s(2x) - 1.
template <Precision precision>
__device__ inline void tanh_of_pair(float (&x)[2]) {
  if constexpr (precision == Precision::bf16) {
    x[0] = tanh_approx(x[0]);
    x[1] = tanh_approx(x[1]);
  } else {
    const float a = 1.0f + __expf(-2.0f * bounded(x[0]));
    const float b = 1.0f + __expf(-2.0f * bounded(x[1]));
    const float twice = __fdividef(2.0f, a * b);
    x[0] = twice * b - 1.0f;
    x[1] = twice * a - 1.0f;
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
