#pragma once

// Embedding: y[i] = table[ids[i]], rows of `dim` numbers.
// Cost forward: 8 count*dim bytes and the ids. Backward, overwriting: classes*dim*4 bytes to clear
// the rows that no id names, then count*dim additions.

#include "kernels/types.h"

namespace etude::kernels::cpu {

struct EmbeddingShape {
  int64_t classes;  // rows of the table
  int64_t dim;      // columns of the table
  int64_t count;    // ids
};

// table [classes, dim], ids [count], each 0 <= id < classes; y [count, dim].
void embedding_forward(const EmbeddingShape& shape, const float* table, const int32_t* ids,
                       float* y);

// dtable [classes, dim]: row r gets the sum of dy[i] over ids[i] = r, in the order of i whatever
// the number of threads. Rows without an id are cleared when overwriting.
void embedding_backward(const EmbeddingShape& shape, const int32_t* ids, const float* dy,
                        float* dtable, Write write);

}  // namespace etude::kernels::cpu
