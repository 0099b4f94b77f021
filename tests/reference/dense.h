#pragma once

#include "kernels/dense.h"
#include "tests/reference/types.h"

namespace etude::reference {

Vec dense_forward(const kernels::DenseShape& shape, const Vec& x, const Vec& w, const Vec& b);

struct DenseGradients {
  Vec dx, dw, db;
};

DenseGradients dense_backward(const kernels::DenseShape& shape, const Vec& x, const Vec& w,
                              const Vec& dy);

}  // namespace etude::reference
