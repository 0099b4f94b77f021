#include <dnnl.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/matmul.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {

void matmul(int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
            Write write, float scale) {
  const auto letter = [](const MatrixView& x) { return x.transpose == Transpose::yes ? 'T' : 'N'; };
  const auto status = dnnl_sgemm(letter(a), letter(b), m, n, k, scale, a.data, a.stride, b.data,
                                 b.stride, write == Write::add ? 1.0f : 0.0f, c, c_stride);
  if (status != dnnl_success) throw std::runtime_error("oneDNN's sgemm failed");
}

void column_sums(int64_t rows, int64_t columns, const float* x, int64_t stride, float* sums,
                 Write write) {
  // Strips of columns, each a cache line or more wide, so that every row is read once.
  parallel_ranges(columns, 64, [&](int64_t begin, int64_t end) {
    float partial[64] = {};
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = begin; j < end; ++j) partial[j - begin] += x[i * stride + j];
    for (int64_t j = begin; j < end; ++j)
      sums[j] = partial[j - begin] + (write == Write::add ? sums[j] : 0.0f);
  });
}

}  // namespace etude::kernels::cpu
