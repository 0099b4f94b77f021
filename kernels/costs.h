#pragma once

// The least that each operation has to do, from its shapes: the FLOPs that the contracts state, and
// its arguments read once and its results written once (what forward keeps for backward is the
// version's own affair and not counted).

#include "kernels/attention.h"
#include "kernels/dense.h"
#include "kernels/embedding.h"
#include "kernels/gru.h"
#include "kernels/softmax_cross_entropy.h"
#include "kernels/span.h"
#include "kernels/vocabulary_loss.h"

namespace etude::kernels::cost {

// Of FLOPs and of numbers of four bytes.
inline Work work(double flops, double numbers) { return {flops, 4 * numbers}; }
inline double number(int64_t n) { return static_cast<double>(n); }

inline Work matmul(int64_t m, int64_t n, int64_t k, int64_t count = 1) {
  return work(2.0 * number(count) * number(m * n) * number(k),
              number(count) * number(m * k + k * n + m * n));
}
inline Work column_sums(int64_t rows, int64_t columns) {
  return work(number(rows * columns), number((rows + 1) * columns));
}

// One operation a number; `arrays` of n numbers go by, one more where a gradient is added to.
inline Work elementwise(int64_t n, int arrays) { return work(number(n), arrays * number(n)); }
inline Work elementwise_backward(int64_t n, int arrays, Write write) {
  return elementwise(n, arrays + (write == Write::add ? 1 : 0));
}

inline Work dense_forward(const DenseShape& s) {
  return work(2 * number(s.rows * s.in) * number(s.out),
              number(s.rows * s.in + s.in * s.out + s.out + s.rows * s.out));
}
inline Work dense_backward(const DenseShape& s) {
  return work(4 * number(s.rows * s.in) * number(s.out),
              number(2 * (s.rows * s.in + s.in * s.out) + s.out + s.rows * s.out));
}

inline Work dense_leaky_relu_forward(const DenseShape& s) {
  return dense_forward(s) + work(number(s.rows * s.out), 0);
}
inline Work dense_leaky_relu_backward(const DenseShape& s) {
  return dense_backward(s) + elementwise(s.rows * s.out, 1);
}

// Rows that several ids name are read once where it is known how many there are.
inline Work embedding_forward(const EmbeddingShape& s, int64_t rows_read) {
  return work(0, number((rows_read + s.count) * s.dim + s.count));
}
inline Work distinct_rows(const EmbeddingShape& s) { return work(0, number(3 * s.count)); }
inline Work sum_rows(int64_t rows, int64_t count, int64_t columns) {
  return work(number(count * columns), number((rows + count) * columns + count));
}
// All rows are written.
inline Work embedding_backward(const EmbeddingShape& s) {
  return work(number(s.count * s.dim), number(s.classes * s.dim + s.count * s.dim + s.count));
}

inline double gru_weights(const GruShape& s) {
  return number(3 * s.units * (s.in + s.units) + 6 * s.units);
}
inline double gru_outputs(const GruShape& s) {
  return number(s.batch * (s.last_only ? 1 : s.time) * s.units);
}
inline double gru_flops(const GruShape& s, int64_t rows_read) {
  return 6.0 * number(s.units) * number(rows_read * s.in + s.batch * s.time * s.units);
}
// Of one direction or both, which read the same input: batch * time rows, or the distinct ones.
inline Work gru_forward(const GruShape& s, int directions, int64_t rows_read) {
  return work(directions * gru_flops(s, rows_read),
              number(rows_read * s.in) + directions * (gru_weights(s) + gru_outputs(s)));
}
inline Work gru_backward(const GruShape& s, int directions, int64_t rows_read) {
  return work(directions * 2 * gru_flops(s, rows_read),
              2 * number(rows_read * s.in) + directions * (2 * gru_weights(s) + gru_outputs(s)));
}
// Of a direction: the step after step part. It reads x W and keeps five numbers a unit and step.
inline Work gru_recurrence(const GruShape& s) {
  const double states = number(s.batch * s.time * s.units);
  return work(6 * states * number(s.units),
              8 * states + gru_outputs(s) + number(3 * s.units * s.units));
}

inline double attention_flops(const AttentionShape& s) {
  const double x = number(s.batch * s.time * s.features);
  return 2 * x * number(s.features / s.heads) + 4 * x * number(s.time);
}
inline double attention_weights(const AttentionShape& s) {
  return number(s.features / s.heads * s.features + s.heads);
}
inline Work attention_forward(const AttentionShape& s) {
  return work(attention_flops(s), 2 * number(s.batch * s.time * s.features) + attention_weights(s));
}
inline Work attention_backward(const AttentionShape& s) {
  return work(2 * attention_flops(s),
              3 * number(s.batch * s.time * s.features) + 2 * attention_weights(s));
}

inline Work softmax_cross_entropy_forward(const CrossEntropyShape& s) {
  return work(2 * number(s.rows * s.classes), number(s.rows * s.classes + 2 * s.rows));
}
inline Work softmax_cross_entropy_backward(const CrossEntropyShape& s) {
  return work(2 * number(s.rows * s.classes), number(2 * s.rows * s.classes + 2 * s.rows));
}

// The logits need not go through memory.
inline Work vocabulary_loss_forward(const VocabularyLossShape& s) {
  return work(2 * number(s.rows * s.in) * number(s.classes),
              number(s.rows * (s.in + 2) + (s.in + 1) * s.classes));
}
inline Work vocabulary_loss_backward(const VocabularyLossShape& s) {
  return work(4 * number(s.rows * s.in) * number(s.classes),
              number(s.rows * (2 * s.in + 1) + 2 * (s.in + 1) * s.classes));
}

inline Work nadam_update(int64_t n) { return work(14 * number(n), 7 * number(n)); }
// All rows' moments; the rows of w that the ids name are data, and not counted.
inline Work nadam_update_sparse(int64_t rows, int64_t columns) {
  return work(6 * number(rows * columns), 5 * number(rows * columns));
}
// The gradients alone: which rows they belong to is data.
inline Work nadam_lazy_update(int64_t count, int64_t columns) {
  return work(number(count * columns), number(count * columns));
}

// The windows of a minibatch and their targets, out of the songs.
inline Work windows(int64_t batch, int64_t time) { return work(0, 2 * number(batch * (time + 1))); }

}  // namespace etude::kernels::cost
