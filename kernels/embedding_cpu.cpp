#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/embedding.h"
#include "kernels/parallel.h"
#include "kernels/simd.h"

namespace etude::kernels::cpu {

int64_t distinct_rows_size(const EmbeddingShape& s) { return 4 * s.count + 1; }

DistinctRows distinct_rows(const EmbeddingShape& s, const int32_t* ids, int32_t* memory) {
  int32_t *distinct = memory, *place = distinct + s.count, *positions = place + s.count,
          *begin = positions + s.count;
  std::vector<int32_t> place_of(s.classes, -1);
  int32_t count = 0;
  for (int64_t i = 0; i < s.count; ++i) {
    int32_t& found = place_of[ids[i]];
    if (found < 0) {
      distinct[count] = ids[i];
      begin[count] = 0;
      found = count++;
    }
    place[i] = found;
    ++begin[found];
  }
  int32_t end = 0;
  for (int32_t r = 0; r < count; ++r) begin[r] = std::exchange(end, end + begin[r]);
  for (int64_t i = 0; i < s.count; ++i) positions[begin[place[i]]++] = static_cast<int32_t>(i);
  for (int32_t r = count; r > 0; --r) begin[r] = begin[r - 1];  // each stands at its end now
  begin[0] = 0;
  return {count, distinct, place, begin, positions};
}

void sum_rows(const DistinctRows& rows, int64_t columns, const float* x, float* sums, Write write) {
  constexpr int64_t kRows = 32;
  parallel_tasks((rows.count + kRows - 1) / kRows, [&](int64_t task) {
    for (int64_t r = task * kRows; r < std::min(rows.count, (task + 1) * kRows); ++r) {
      for (int64_t j = 0; j < columns; j += kLanes) {
        Vec sum{};
        for (int32_t k = rows.begin[r]; k < rows.begin[r + 1]; ++k)
          sum += load(x + rows.positions[k] * columns + j, columns - j);
        float* out = sums + r * columns + j;
        store(out, write == Write::add ? load(out, columns - j) + sum : sum, columns - j);
      }
    }
  });
}

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
