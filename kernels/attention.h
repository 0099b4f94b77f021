#pragma once

// Multiplicative self-attention (Luong et al. 2015, the "general" score), per head on its slice of
// the features, D = features / heads:
//   e = s(x Wa x^T + ba), s the logistic function or nothing
//   a = softmax over j of e[i, j] within the band i - width/2 <= j < i - width/2 + width, 0 outside
//   y = a x
// There is no value projection. A row whose band is empty cannot occur for width >= 1.
// (keras-self-attention subtracts 10000 outside the band instead; in fp32 the softmax is then 0.)
// Cost forward, FLOPs: 2 B T F D (x Wa) + 4 B T^2 F; backward twice that.

#include "kernels/dropout.h"
#include "kernels/types.h"

namespace etude::kernels {

// Of the device's kernels. simple: plain loops, any size, always exact. tiled: any size. window:
// tiled, but for time <= 64 and features / heads <= 256 one backward kernel makes every score once.
// What does not fit falls back to tiled, and that to simple where a block can have 99 KB only of
// shared memory (sm_86, sm_89: above 152 features a head).
// Of the device's kernels; where one does not fit, the next simpler one runs.
enum class AttentionVersion { automatic, simple, tiled, window };

struct AttentionShape {
  int64_t batch, time, features;
  int64_t heads = 1;   // divides features
  int64_t width = 50;  // of the band, in steps
  bool sigmoid = true;
  AttentionVersion version = AttentionVersion::automatic;
};

struct AttentionWeights {
  const float* wa;  // [heads, D, D]
  const float* ba;  // [heads]
};

struct AttentionGradients {
  float* dx;  // [batch, time, features]
  Write dx_write;
  float* dwa;  // [heads, D, D]
  Write dwa_write;
  float* dba;  // [heads]
  Write dba_write;
};

namespace cpu {

// What forward leaves for backward. All owned by the caller.
struct AttentionSaved {
  float* query;    // [batch, time, features]: x Wa
  float* scores;   // [batch, heads, time, time]: e within the band, else unspecified
  float* weights;  // [batch, heads, time, time]: a, 0 outside the band
};

// x and y [batch, time, features].
void attention_forward(const AttentionShape& shape, const AttentionWeights& weights, const float* x,
                       float* y, const AttentionSaved& saved);

// Overwrites what `saved` points to: it serves as scratch.
void attention_backward(const AttentionShape& shape, const AttentionWeights& weights,
                        const float* x, const float* dy, const AttentionSaved& saved,
                        const AttentionGradients& gradients);

}  // namespace cpu
}  // namespace etude::kernels

// `saved` and `scratch` are the caller's, of so many floats; saved lives from forward to backward.
// y has gone through `dropout`, and dy is its gradient. The window version makes the mask where it
// writes y and reads dy; the others have dropout's own kernels around theirs, and more saved.
// clang-format off
ETUDE_ON_DEVICE(
int64_t attention_saved(const Stream& stream, const AttentionShape& shape,
                        const DropoutMask& dropout);
int64_t attention_scratch(const Stream& stream, const AttentionShape& shape,
                          const DropoutMask& dropout);
void attention_forward(const Stream& stream, const AttentionShape& shape,
                       const AttentionWeights& weights, const DropoutMask& dropout, const float* x,
                       float* y, float* saved);
void attention_backward(const Stream& stream, const AttentionShape& shape,
                        const AttentionWeights& weights, const DropoutMask& dropout,
                        const float* x, const float* y, const float* dy, float* saved,
                        float* scratch, const AttentionGradients& gradients);
)
// clang-format on
