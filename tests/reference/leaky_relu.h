#pragma once

#include "tests/reference/types.h"

namespace etude::reference {

Vec leaky_relu_forward(double slope, const Vec& x);
Vec leaky_relu_backward(double slope, const Vec& x, const Vec& dy);

}  // namespace etude::reference
