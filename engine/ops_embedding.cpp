#include "kernels/embedding.h"

#include <algorithm>

#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"

namespace etude::ops {

using namespace kernels;

namespace {

void leave_row_gradients(Tape& tape, const Tensor& table, const Tensor& rows) {
  tape.set_row_gradients(rows.grad());
  table.node()->grad_written = true;  // as far as anybody else is concerned
}

// Of all positions, from the distinct rows.
Tensor from_distinct(Tape& tape, const Tensor& table, const DistinctRows& distinct, int64_t batch,
                     int64_t time) {
  const EmbeddingShape shape{table.size(0), table.size(1), distinct.count};
  // As large as the rows can become: every step has the same addresses.
  const Tensor rows = tape.make({batch * time, shape.dim});
  const Tensor y = tape.make({batch, time, shape.dim});
  const EmbeddingShape whole{shape.classes, shape.dim, batch * time};
  const KernelSpan span("embedding_forward", cost::embedding_forward(whole, distinct.count));
  cpu::embedding_forward(shape, table.data(), distinct.ids, rows.data());
  cpu::embedding_forward({shape.count, shape.dim, batch * time}, rows.data(), distinct.place,
                         y.data());
  y.node()->of_table = {rows.node(), &distinct};
  tape.record([=, &tape, &distinct] {
    if (y.node()->grad_written) {
      const auto gradient = tape.gradient(rows);
      const KernelSpan sum("sum_rows", cost::sum_rows(distinct.count, batch * time, shape.dim));
      cpu::sum_rows(distinct, shape.dim, y.grad(), gradient.data, gradient.write);
    }
    if (!rows.node()->grad_written)  // nobody has read the embedding
      std::fill_n(tape.gradient(rows).data, distinct.count * shape.dim, 0.0f);
    if (tape.leaves_row_gradients()) return leave_row_gradients(tape, table, rows);
    const auto gradient = tape.gradient(table);
    const KernelSpan backward("embedding_backward", cost::embedding_backward(shape));
    cpu::embedding_backward(shape, distinct.ids, rows.grad(), gradient.data, gradient.write);
  });
  return y;
}

}  // namespace

Tensor embedding(Tape& tape, const Tensor& table, const TokenIds& tokens) {
  require_rank("embedding", "table", table, 2);
  const EmbeddingShape shape{table.size(0), table.size(1), tokens.batch * tokens.time};
  const int32_t* index = tokens.index;
  if (tape.on_cpu()) {
    require_below("embedding", "id", tokens.ids, shape.count, shape.classes);
    if (tokens.distinct)
      return from_distinct(tape, table, *tokens.distinct, tokens.batch, tokens.time);
    index = tokens.ids;
  }
  const Tensor y = tape.make({tokens.batch, tokens.time, shape.dim});
  const KernelSpan span("embedding_forward", cost::embedding_forward(shape, shape.count));
  DISPATCH(tape.stream(), embedding_forward, shape, table.data(), tokens.ids, y.data());
  tape.record([=, &tape] {
    if (tape.leaves_row_gradients()) return leave_row_gradients(tape, table, y);
    const auto gradient = tape.gradient(table);
    const KernelSpan backward("embedding_backward", cost::embedding_backward(shape));
    DISPATCH(tape.stream(), embedding_backward, shape, index, y.grad(), gradient.data,
             gradient.write);
  });
  return y;
}

}  // namespace etude::ops
