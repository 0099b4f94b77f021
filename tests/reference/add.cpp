#include "tests/reference/add.h"

namespace etude::reference {

Vec add_forward(const Vec& a, const Vec& b) {
  Vec y(a.size());
  for (size_t i = 0; i < a.size(); ++i) y[i] = a[i] + b[i];
  return y;
}

Vec add_backward(const Vec& dy) { return dy; }

}  // namespace etude::reference
