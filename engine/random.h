#pragma once

// Initial values of parameters, as Keras draws them. A parameter's values are a function of the
// seed and of its number among the parameters.

#include <array>

#include "engine/params.h"
#include "kernels/philox.h"

namespace etude {

// Uniform and normal numbers one after the other.
class RandomSequence {
 public:
  // Dropout takes the training steps, from 1; the initialisers' numbers are those of step 0.
  static constexpr uint32_t kInitialStep = 0;
  static constexpr uint32_t kCompositionStep = 0xFFFFFFFF;
  RandomSequence(uint64_t seed, uint32_t stream, uint32_t step = kInitialStep)
      : key_{seed, stream, step} {}
  double uniform();  // in (0, 1)
  double normal();   // mean 0, variance 1

 private:
  kernels::RandomKey key_;
  uint64_t position_ = 0;
  std::array<uint32_t, 4> block_{};  // the four numbers around position_
};

namespace initial {

void uniform(Tensor x, double limit, RandomSequence random);  // in (-limit, limit)

// Glorot & Bengio 2010: uniform in +-sqrt(6 / (in + out)), or normal with variance 2 / (in + out),
// cut at two standard deviations of the normal before the cut.
void glorot_uniform(Tensor x, int64_t fan_in, int64_t fan_out, RandomSequence random);
void glorot_normal(Tensor x, int64_t fan_in, int64_t fan_out, RandomSequence random);

// x [rows, columns], rows <= columns: orthonormal rows (Saxe et al. 2014).
void orthogonal(Tensor x, RandomSequence random);

}  // namespace initial
}  // namespace etude
