#pragma once

// How the GRU's weights and states are laid out for the tensor cores (gru_mma.cu, gru_cluster.cu).
// Included behind simt.h.
//
// A product is W S, the weights' rows as the mma's m, batch rows as its n (8, the least there is).
// Which unit stands in which row of a fragment, and which in which of its k, is free as long as
// both operands agree. Chosen:
// * m: rows g and g + 8 of a fragment are neighbouring units 2g and 2g + 1. A thread then holds
//   pairs of units of two batch rows, and pairs is what it loads and stores.
// * k: a thread's operand b for two mmas in a row is one chunk of 16 bytes: for tf32 four units in
//   their order, for bf16 four of a block of 16 and four of the next.

#include "kernels/gru_tile.h"

namespace etude::kernels::ETUDE_DEVICE {

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
__device__ inline void load_fragment(uint32_t (&a)[2][4], int chunk, int member, Weight weight) {
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

// All weights of a thread: 3 gates by the chunks that cover K units. weight(gate, i, k): of the
// thread's row i.
template <int K, Precision precision>
using Weights = uint32_t[3][K / kChunkUnits<precision>][2][4];

template <int K, Precision precision, typename Weight>
__device__ inline void load_weights(Weights<K, precision>& a, Weight weight) {
  const int member = fragment_lane().member;
#pragma unroll
  for (int chunk = 0; chunk < K / kChunkUnits<precision>; ++chunk) {
#pragma unroll
    for (int gate = 0; gate < 3; ++gate)
      load_fragment<precision>(a[gate][chunk], chunk, member,
                               [&](int i, int k) { return weight(gate, i, k); });
    __syncthreads();  // keeps the compiler from having all addresses in registers at once
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
