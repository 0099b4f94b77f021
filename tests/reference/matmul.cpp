#include "tests/reference/matmul.h"

namespace etude::reference {

Vec matmul(int64_t m, int64_t n, int64_t k, const Vec& a, bool a_transposed, const Vec& b,
           bool b_transposed) {
  Vec c(m * n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t l = 0; l < k; ++l) {
      const double factor = a_transposed ? a[l * m + i] : a[i * k + l];
      for (int64_t j = 0; j < n; ++j)
        c[i * n + j] += factor * (b_transposed ? b[j * k + l] : b[l * n + j]);
    }
  return c;
}

Vec column_sums(int64_t rows, int64_t columns, const Vec& x) {
  Vec sums(columns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) sums[j] += x[i * columns + j];
  return sums;
}

}  // namespace etude::reference
