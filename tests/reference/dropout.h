#pragma once

#include "kernels/philox.h"
#include "tests/reference/types.h"

namespace etude::reference {

// 0 where element i is dropped, 1 / (1 - rate) where it is kept.
double dropout_factor(double rate, const kernels::RandomKey& key, uint64_t i);

Vec dropout_forward(double rate, const kernels::RandomKey& key, const Vec& x);
Vec dropout_backward(double rate, const kernels::RandomKey& key, const Vec& dy);

}  // namespace etude::reference
