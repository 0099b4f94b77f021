#pragma once

#include "tests/reference/types.h"

namespace etude::reference {

Vec add_forward(const Vec& a, const Vec& b);

// The gradient of either operand.
Vec add_backward(const Vec& dy);

}  // namespace etude::reference
