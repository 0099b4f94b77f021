#pragma once

#include "kernels/gru.h"
#include "tests/reference/types.h"

namespace etude::reference {

struct GruWeights {
  Vec kernel, recurrent_kernel, bias, recurrent_bias;
};

struct GruForward {
  Vec y;          // [batch, time, units], or [batch, units] with last_only
  Vec gates;      // [batch, time, 3 units]: z, r, g
  Vec candidate;  // [batch, time, units]: h Rg + cg
  Vec previous;   // [batch, time, units]: h before the step
};

GruForward gru_forward(const kernels::GruShape& shape, const GruWeights& weights, const Vec& x);

struct GruGradients {
  Vec dx, dkernel, drecurrent_kernel, dbias, drecurrent_bias;
};

GruGradients gru_backward(const kernels::GruShape& shape, const GruWeights& weights, const Vec& x,
                          const Vec& dy);

}  // namespace etude::reference
