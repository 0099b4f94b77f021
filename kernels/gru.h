#pragma once

// Gated recurrent unit (Cho et al. 2014) in the reset_after form of cuDNN, PyTorch and Keras 2+,
// gates z, r, g side by side in every weight, s the logistic function:
//   z = s(x Wz + bz + h Rz + cz)      r = s(x Wr + br + h Rr + cr)
//   g = tanh(x Wg + bg + r (h Rg + cg))
//   h' = z h + (1 - z) g,  h = 0 before the first step
// A direction is one independent GRU; `reverse` reads the window from its end. Two calls, one each
// way, that write into the two halves of one output make a bidirectional layer.
// Cost forward, FLOPs: 6 B T H (in + H); backward twice that.

#include "kernels/embedding.h"
#include "kernels/types.h"

namespace etude::kernels {

// How the recurrence is run; kernels/gru_recurrence.h has the limits of the device's versions. The
// CPU has two: stepwise (gru_stepwise.h), and its own for all others.
enum class GruVersion {
  automatic,   // the fastest that can
  stepwise,    // a matrix product and elementwise passes a step; any number of units
  persistent,  // one launch for all steps, products in fp32
  mma,         // the same on tensor cores, operands rounded to tf32 or bf16
  cluster,     // the same with several blocks a batch tile: multiples of 16 units up to 512, sm_90
};

struct GruShape {
  int64_t batch, time, in, units;
  bool reverse = false;
  bool last_only = false;  // output: the state after the last step read, or every step's
  GruVersion version = GruVersion::automatic;
};

struct GruWeights {
  const float* kernel;            // [in, 3 units]
  const float* recurrent_kernel;  // [units, 3 units]
  const float* bias;              // [3 units]: b
  const float* recurrent_bias;    // [3 units]: c
};

namespace cpu {

// What forward leaves for backward. All owned by the caller.
struct GruSaved {
  float* gates;                 // [batch, time, 3 units]: z, r, g
  float* candidate;             // [batch, time, units]: h Rg + cg
  float* previous;              // [batch, time, units]: h before the step
  float* projection = nullptr;  // with GruInput::distinct, [distinct->count, 3 units]: scratch
};

// Either x [batch, time, in], or x [distinct->count, in], the distinct rows of a table: a row's
// products are then made once however often the minibatch names it (2.6 times, on MAESTRO), and dx
// is the gradient of the rows. GruVersion::stepwise takes no distinct rows.
struct GruInput {
  const float* x;
  const DistinctRows* distinct = nullptr;
  GruInput(const float* array, const DistinctRows* of = nullptr) : x(array), distinct(of) {}
};

// y, rows y_stride >= units apart: [batch, time, units], or [batch, units]
// with last_only.
void gru_forward(const GruShape& shape, const GruWeights& weights, const GruInput& input, float* y,
                 int64_t y_stride, const GruSaved& saved);

struct GruGradients {
  float* dx;  // shaped as the input, or null where nobody asks for it
  Write dx_write;
  float* dkernel;
  float* drecurrent_kernel;
  float* dbias;
  float* drecurrent_bias;
  Write weights_write;  // of the four above, shaped as the weights
};

// dy is shaped and strided as y. Overwrites what `saved` points to: it serves as scratch.
void gru_backward(const GruShape& shape, const GruWeights& weights, const GruInput& input,
                  const float* dy, int64_t dy_stride, const GruSaved& saved,
                  const GruGradients& gradients);

}  // namespace cpu

// Of one direction, shaped as GruWeights.
struct GruWeightGradients {
  float* dkernel;
  float* drecurrent_kernel;
  float* dbias;
  float* drecurrent_bias;
};

}  // namespace etude::kernels

// Both directions at once, each with weights of its own; shape.reverse means nothing. x and dx
// [batch, time, in], dx null where nobody asks for it; y and dy [batch, time, 2 units], or [batch,
// 2 units] with last_only: the forward direction's half first. `saved` and `scratch` are the
// caller's, as many floats as the two functions say; saved lives from forward to backward, which
// overwrites it.
// clang-format off
ETUDE_ON_DEVICE(
int64_t bidirectional_gru_saved(const GruShape& shape);
int64_t bidirectional_gru_scratch(const GruShape& shape);
void bidirectional_gru_forward(const Stream& stream, const GruShape& shape,
                               const GruWeights (&weights)[2], const float* x, float* y,
                               float* saved, float* scratch);
void bidirectional_gru_backward(const Stream& stream, const GruShape& shape,
                                const GruWeights (&weights)[2], const float* x, const float* dy,
                                float* saved, float* scratch, float* dx, Write dx_write,
                                const GruWeightGradients (&gradients)[2], Write weights_write);
)
// clang-format on
