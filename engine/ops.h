#pragma once

// The differentiable operations: each checks the shapes, takes memory from the tape, runs its
// kernel and records its backward. A wrong shape is an Error that names the operation.
// B batch rows, T steps, F features, V classes. One file an operation: ops_NAME.cpp.

#include "engine/tape.h"
#include "kernels/gru.h"

namespace etude::ops {

// ids [B, T], each below V, alive until backward; table [V, F] -> [B, T, F]. On a device nobody
// checks the ids, and `index` is kernels::embedding_index() of them, or null in inference.
// `distinct` are the ids' rows, on the CPU, for ops that can do with them; or null.
struct TokenIds {
  int64_t batch, time;
  const int32_t* ids;
  const int32_t* index = nullptr;
  const kernels::DistinctRows* distinct = nullptr;
};
Tensor embedding(Tape& tape, const Tensor& table, const TokenIds& tokens);

struct GruDirection {
  Tensor kernel, recurrent_kernel, bias, recurrent_bias;  // kernels/gru.h gives the shapes
};
enum class GruOutput { sequence, last };

// x [B, T, F] -> [B, T, 2 H], or [B, 2 H]: the forward state at T-1 beside the backward one at 0
Tensor bidirectional_gru(Tape& tape, const Tensor& x, const GruDirection& forward,
                         const GruDirection& backward, GruOutput output,
                         kernels::GruVersion version = kernels::GruVersion::automatic);

struct AttentionOptions {
  int64_t width = 50;
  bool sigmoid = true;
  // Of the output, as ops::dropout would behind it.
  float dropout = 0;
  uint32_t dropout_stream = 0;
};

// x [B, T, F], wa [heads, F/heads, F/heads], ba [heads] -> [B, T, F]
Tensor attention(Tape& tape, const Tensor& x, const Tensor& wa, const Tensor& ba,
                 const AttentionOptions& options);

// x [..., in], w [in, out], b [out] -> [..., out]
Tensor dense(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b);

Tensor leaky_relu(Tape& tape, const Tensor& x, float slope);

// leaky_relu(dense(x, w, b)) in one; the two ops where the slope is below 0
Tensor dense_leaky_relu(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b, float slope);

// The mask is a function of the tape's seed and step, and of `stream`; x itself in inference.
Tensor dropout(Tape& tape, const Tensor& x, float rate, uint32_t stream);

Tensor add(Tape& tape, const Tensor& a, const Tensor& b);

// x [B, T, F] -> [B, T F], the same memory
Tensor flatten(Tape& tape, const Tensor& x);

// The output layer and the loss in one: x [B, in], w [in, V], b [V], targets [B] alive until
// backward -> [B], in nats. Backward gives the gradient of their sum.
Tensor vocabulary_loss(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b,
                       const int32_t* targets);

// The loss: logits [B, V], targets [B] alive until backward -> [B], in nats. Backward gives the
// gradient of their sum, in place of the logits.
Tensor softmax_cross_entropy(Tape& tape, const Tensor& logits, const int32_t* targets);

}  // namespace etude::ops
