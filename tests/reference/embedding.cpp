#include "tests/reference/embedding.h"

namespace etude::reference {

Vec embedding_forward(const kernels::EmbeddingShape& shape, const Vec& table,
                      const std::vector<int32_t>& ids) {
  Vec y(shape.count * shape.dim);
  for (int64_t i = 0; i < shape.count; ++i)
    for (int64_t d = 0; d < shape.dim; ++d) y[i * shape.dim + d] = table[ids[i] * shape.dim + d];
  return y;
}

Vec embedding_backward(const kernels::EmbeddingShape& shape, const std::vector<int32_t>& ids,
                       const Vec& dy) {
  Vec dtable(shape.classes * shape.dim);
  for (int64_t i = 0; i < shape.count; ++i)
    for (int64_t d = 0; d < shape.dim; ++d) dtable[ids[i] * shape.dim + d] += dy[i * shape.dim + d];
  return dtable;
}

}  // namespace etude::reference
