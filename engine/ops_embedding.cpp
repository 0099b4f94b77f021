#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/embedding.h"

namespace etude::ops {

using namespace kernels;

Tensor embedding(Tape& tape, const Tensor& table, const int32_t* ids, const int32_t* index,
                 int64_t batch, int64_t time) {
  require_rank("embedding", "table", table, 2);
  const EmbeddingShape shape{table.size(0), table.size(1), batch * time};
  if (tape.on_cpu()) {
    require_below("embedding", "id", ids, shape.count, shape.classes);
    index = ids;
  }
  const Tensor y = tape.make({batch, time, shape.dim});
  const KernelSpan span("embedding_forward", cost::embedding_forward(shape));
  DISPATCH(tape.stream(), embedding_forward, shape, table.data(), ids, y.data());
  tape.record([=, &tape] {
    if (tape.leaves_row_gradients()) {
      tape.set_row_gradients(y.grad());
      table.node()->grad_written = true;  // as far as anybody else is concerned
      return;
    }
    const auto gradient = tape.gradient(table);
    const KernelSpan backward("embedding_backward", cost::embedding_backward(shape));
    DISPATCH(tape.stream(), embedding_backward, shape, index, y.grad(), gradient.data,
             gradient.write);
  });
  return y;
}

}  // namespace etude::ops
