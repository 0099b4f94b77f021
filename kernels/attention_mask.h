#pragma once

// Dropout of a result that a tiled block has in registers.

#include "kernels/attention_scores.h"
#include "kernels/dropout_mask.h"

namespace etude::kernels::ETUDE_DEVICE {

// Two rows' pairs, `below` elements apart, through a mask; every lane calls. Two lanes share the
// quads: the even one makes the upper row's numbers, the odd one the lower's.
__device__ __forceinline__ void mask_pairs(const Mask& mask, float (&c)[4], int64_t upper,
                                           int64_t below) {
  const bool odd = lane_member() % 2 != 0;
  const auto n = mask.numbers((odd ? upper + below : upper) / 4);
  const uint32_t got[2] = {__shfl_xor_sync(0xffffffffu, odd ? n.v[0] : n.v[2], 1),
                           __shfl_xor_sync(0xffffffffu, odd ? n.v[1] : n.v[3], 1)};
  c[0] = mask.apply(odd ? got[0] : n.v[0], c[0]);
  c[1] = mask.apply(odd ? got[1] : n.v[1], c[1]);
  c[2] = mask.apply(odd ? n.v[2] : got[0], c[2]);
  c[3] = mask.apply(odd ? n.v[3] : got[1], c[3]);
}

// A result through a mask, its first element being `first` of what it is the mask of. `quads`: each
// of its rows begins at a multiple of four.
__device__ __forceinline__ void mask_result(const Mask& mask, ResultTiles& result, int64_t first,
                                            int64_t stride, int columns, bool quads) {
#pragma unroll
  for (int m = 0; m < 4; ++m)
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      if (result_column() + 64 * n >= columns) continue;
      const int64_t at =
          first + (16 * m + lane_group()) * stride + result_column() + 64 * n + 2 * lane_member();
      float(&c)[4] = result[m][n];
      if (quads)
        mask_pairs(mask, c, at, 8 * stride);
      else
        for (int q = 0; q < 4; ++q) c[q] = mask.one(at + q / 2 * 8 * stride + q % 2, c[q]);
    }
}

}  // namespace etude::kernels::ETUDE_DEVICE
