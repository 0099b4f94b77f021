#pragma once

#include "tests/reference/types.h"

namespace etude::reference {

// op(a) op(b) [m, n]. A transposed a lies in memory as [k, m], a transposed b as [n, k].
Vec matmul(int64_t m, int64_t n, int64_t k, const Vec& a, bool a_transposed, const Vec& b,
           bool b_transposed);

Vec column_sums(int64_t rows, int64_t columns, const Vec& x);

}  // namespace etude::reference
