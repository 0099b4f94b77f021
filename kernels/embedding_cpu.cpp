#include <algorithm>

#include "kernels/embedding.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {

void embedding_forward(const EmbeddingShape& s, const float* table, const int32_t* ids, float* y) {
  parallel_ranges(s.count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(table + ids[i] * s.dim, s.dim, y + i * s.dim);
  });
}

void embedding_backward(const EmbeddingShape& s, const int32_t* ids, const float* dy, float* dtable,
                        Write write) {
  // Each piece owns a range of rows and reads all ids: no two write the same row, and a row takes
  // its gradients in the order of ids.
  const int64_t pieces = std::min<int64_t>(s.classes, threads());
  parallel_tasks(pieces, [&](int64_t piece) {
    const int64_t begin = s.classes * piece / pieces, end = s.classes * (piece + 1) / pieces;
    if (write == Write::overwrite) std::fill(dtable + begin * s.dim, dtable + end * s.dim, 0.0f);
    for (int64_t i = 0; i < s.count; ++i) {
      if (ids[i] < begin || ids[i] >= end) continue;
      float* row = dtable + ids[i] * s.dim;
      const float* gradient = dy + i * s.dim;
      for (int64_t j = 0; j < s.dim; ++j) row[j] += gradient[j];
    }
  });
}

}  // namespace etude::kernels::cpu
