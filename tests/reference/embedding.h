#pragma once

#include "kernels/embedding.h"
#include "tests/reference/types.h"

namespace etude::reference {

Vec embedding_forward(const kernels::EmbeddingShape& shape, const Vec& table,
                      const std::vector<int32_t>& ids);

Vec embedding_backward(const kernels::EmbeddingShape& shape, const std::vector<int32_t>& ids,
                       const Vec& dy);

}  // namespace etude::reference
