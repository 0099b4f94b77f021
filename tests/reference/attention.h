#pragma once

#include "kernels/attention.h"
#include "tests/reference/types.h"

namespace etude::reference {

struct AttentionWeights {
  Vec wa, ba;
};

struct AttentionForward {
  Vec y;        // [batch, time, features]
  Vec query;    // [batch, time, features]: x Wa
  Vec scores;   // [batch, heads, time, time]: e within the band, else 0
  Vec weights;  // [batch, heads, time, time]: a, 0 outside the band
};

AttentionForward attention_forward(const kernels::AttentionShape& shape,
                                   const AttentionWeights& weights, const Vec& x);

struct AttentionGradients {
  Vec dx, dwa, dba;
};

AttentionGradients attention_backward(const kernels::AttentionShape& shape,
                                      const AttentionWeights& weights, const Vec& x, const Vec& dy);

}  // namespace etude::reference
