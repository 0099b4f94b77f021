#pragma once

// Embedding: y[i] = table[ids[i]], rows of `dim` numbers.
// Cost forward: 8 count*dim bytes and the ids. Backward, overwriting: classes*dim*4 bytes to clear
// the rows that no id names, then count*dim additions.

#include "kernels/types.h"

namespace etude::kernels {

struct EmbeddingShape {
  int64_t classes;  // rows of the table
  int64_t dim;      // columns of the table
  int64_t count;    // ids
};

// The distinct rows that a minibatch's ids name, in the order of their first appearance: what is
// computed from a row alone need be computed once. The arrays are the caller's.
struct DistinctRows {
  int64_t count;
  const int32_t* ids;        // [count]
  const int32_t* place;      // [ids]: ids[place[i]] is id i
  const int32_t* begin;      // [count + 1]
  const int32_t* positions;  // [ids]: row r's ascend from begin[r] to begin[r + 1]
};

namespace cpu {

// Into `memory`, distinct_rows_size() int32_t of the caller's.
int64_t distinct_rows_size(const EmbeddingShape& shape);
DistinctRows distinct_rows(const EmbeddingShape& shape, const int32_t* ids, int32_t* memory);

// sums [rows.count, columns]: row r gets the sum of x[i] over its positions i, in their order. x's
// rows are `columns` long.
void sum_rows(const DistinctRows& rows, int64_t columns, const float* x, float* sums, Write write);

// table [classes, dim], ids [count], each 0 <= id < classes; y [count, dim].
void embedding_forward(const EmbeddingShape& shape, const float* table, const int32_t* ids,
                       float* y);

// dtable [classes, dim]: row r gets the sum of dy[i] over ids[i] = r, in the order of i whatever
// the number of threads. Rows without an id are cleared when overwriting.
void embedding_backward(const EmbeddingShape& shape, const int32_t* ids, const float* dy,
                        float* dtable, Write write);

}  // namespace cpu
}  // namespace etude::kernels

// On a device, the ids of a minibatch in ascending order, made once and read by backward and by the
// updates of a table (nadam.h, nadam_lazy.h): embedding_index_size() int32_t, the caller's. A row's
// gradients are summed in an order that the ids alone decide: that of the CPU for up to 32 of them.
// clang-format off
ETUDE_ON_DEVICE(
int64_t embedding_index_size(const EmbeddingShape& shape);
void embedding_index(const Stream& stream, const EmbeddingShape& shape, const int32_t* ids,
                     int32_t* index);
void embedding_forward(const Stream& stream, const EmbeddingShape& shape, const float* table,
                       const int32_t* ids, float* y);
void embedding_backward(const Stream& stream, const EmbeddingShape& shape, const int32_t* index,
                        const float* dy, float* dtable, Write write);
)
// clang-format on
