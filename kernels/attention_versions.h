#pragma once

// Between attention.cu, which makes the matrix products of whole arrays, and the kernels of its
// versions, which make everything between them.

#include "kernels/attention.h"

namespace etude::kernels {

// x, query, y [batch, time, features]; ba [heads]; log_sum [batch, heads, time]: a[i, j] is
// exp(e[i, j] - log_sum[i]). dropout, of y: the tiled version's alone.
struct AttentionForwardArrays {
  const float *x, *query, *ba;
  float *y, *log_sum;
  DropoutMask dropout;
};

// dx takes what comes by the weighted sum and by the scores' right-hand x. dba_parts
// [heads, batch, parts]: attention_parts() of them a batch row and head. dropout, behind which dy
// is the gradient: the window version's alone.
struct AttentionBackwardArrays {
  const float *x, *query, *ba, *log_sum, *y, *dy;
  float* dx;
  Write dx_write;
  float *dquery, *dba_parts;
  DropoutMask dropout;
};

constexpr int kAttentionTile = 64;  // rows of queries, or of keys, a block of the tiled versions

}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
void attention_forward_simple(const Stream& stream, const AttentionShape& shape,
                              const AttentionForwardArrays& arrays);
void attention_backward_simple(const Stream& stream, const AttentionShape& shape,
                               const AttentionBackwardArrays& arrays);
void attention_forward_tiled(const Stream& stream, const AttentionShape& shape,
                             const AttentionForwardArrays& arrays);
void attention_backward_tiled(const Stream& stream, const AttentionShape& shape,
                              const AttentionBackwardArrays& arrays);
bool attention_tiled_fits(const AttentionShape& shape);  // on this device, in any precision
bool attention_window_fits(const Stream& stream, const AttentionShape& shape);
void attention_backward_window(const Stream& stream, const AttentionShape& shape,
                               const AttentionBackwardArrays& arrays);
)
// clang-format on
