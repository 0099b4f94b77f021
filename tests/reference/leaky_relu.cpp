#include "tests/reference/leaky_relu.h"

namespace etude::reference {

Vec leaky_relu_forward(double slope, const Vec& x) {
  Vec y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];
  return y;
}

Vec leaky_relu_backward(double slope, const Vec& x, const Vec& dy) {
  Vec dx(x.size());
  for (size_t i = 0; i < x.size(); ++i) dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
  return dx;
}

}  // namespace etude::reference
