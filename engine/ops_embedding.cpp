#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/embedding.h"

namespace etude::ops {

using namespace kernels;

Tensor embedding(Tape& tape, const Tensor& table, const int32_t* ids, int64_t batch, int64_t time) {
  require_rank("embedding", "table", table, 2);
  const EmbeddingShape shape{table.size(0), table.size(1), batch * time};
  for (int64_t i = 0; i < shape.count; ++i)
    if (ids[i] < 0 || ids[i] >= shape.classes)
      throw Error(fmt::format("embedding: id {} at {} is not below {}", ids[i], i, shape.classes));
  const Tensor y = tape.make({batch, time, shape.dim});
  cpu::embedding_forward(shape, table.data(), ids, y.data());
  tape.record([=, &tape] {
    const auto gradient = tape.gradient(table);
    cpu::embedding_backward(shape, ids, y.grad(), gradient.data, gradient.write);
  });
  return y;
}

}  // namespace etude::ops
