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

namespace cpu {

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
