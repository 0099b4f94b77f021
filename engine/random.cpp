#include "engine/random.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "engine/error.h"

namespace etude {

double RandomSequence::uniform() {
  if (position_ % 4 == 0) block_ = kernels::philox(key_, position_ / 4);
  return kernels::uniform(block_[position_++ % 4]);
}

double RandomSequence::normal() {  // Box and Muller 1958, one of the pair
  const double radius = std::sqrt(-2 * std::log(uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

namespace initial {

void uniform(Tensor x, double limit, RandomSequence random) {
  for (int64_t i = 0; i < x.count(); ++i)
    x.data()[i] = static_cast<float>(limit * (2 * random.uniform() - 1));
}

void glorot_uniform(Tensor x, int64_t fan_in, int64_t fan_out, RandomSequence random) {
  uniform(x, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)), random);
}

void glorot_normal(Tensor x, int64_t fan_in, int64_t fan_out, RandomSequence random) {
  // The cut takes variance away; Keras widens the normal so that what remains has the right one.
  constexpr double kCutDeviation = 0.87962566103423978;
  const double deviation = std::sqrt(2.0 / static_cast<double>(fan_in + fan_out)) / kCutDeviation;
  for (int64_t i = 0; i < x.count(); ++i) {
    double value = random.normal();
    while (std::abs(value) > 2) value = random.normal();
    x.data()[i] = static_cast<float>(deviation * value);
  }
}

void orthogonal(Tensor x, RandomSequence random) {
  const int64_t rows = x.size(0), columns = x.size(1);
  if (rows > columns) throw Error("an orthogonal matrix here has no more rows than columns");
  std::vector<double> q(static_cast<size_t>(rows * columns));
  for (double& value : q) value = random.normal();
  // Gram-Schmidt, twice over so that rounding leaves no trace. The rows of a matrix of normals are
  // equally likely to point anywhere, so the result is uniform among the orthonormal ones.
  const auto dot = [&](int64_t a, int64_t b) {
    double sum = 0;
    for (int64_t k = 0; k < columns; ++k) sum += q[a * columns + k] * q[b * columns + k];
    return sum;
  };
  for (int64_t i = 0; i < rows; ++i) {
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t j = 0; j < i; ++j) {
        const double along = dot(i, j);
        for (int64_t k = 0; k < columns; ++k) q[i * columns + k] -= along * q[j * columns + k];
      }
    }
    const double length = std::sqrt(dot(i, i));
    for (int64_t k = 0; k < columns; ++k) q[i * columns + k] /= length;
  }
  for (int64_t i = 0; i < rows * columns; ++i) x.data()[i] = static_cast<float>(q[i]);
}

}  // namespace initial
}  // namespace etude
