#include "tests/reference/dropout.h"

#include "tests/reference/philox.h"

namespace etude::reference {

double dropout_factor(double rate, const kernels::RandomKey& key, uint64_t i) {
  const bool dropped = random_bits(key, i) < rate * 0x1p32;
  return dropped ? 0 : 1 / (1 - rate);
}

Vec dropout_forward(double rate, const kernels::RandomKey& key, const Vec& x) {
  Vec y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * dropout_factor(rate, key, i);
  return y;
}

Vec dropout_backward(double rate, const kernels::RandomKey& key, const Vec& dy) {
  return dropout_forward(rate, key, dy);
}

}  // namespace etude::reference
