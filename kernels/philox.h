#pragma once

// Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011, by Random123): a number is a
// function of (seed, stream, step, position), so that it is the same on every device and after a
// resume, and nobody carries a state.

#include <Random123/philox.h>

#include <array>
#include <cstdint>

namespace etude::kernels {

struct RandomKey {
  uint64_t seed = 0;
  uint32_t stream = 0;  // who draws: a dropout layer, an initialiser
  uint32_t step = 0;    // when: the training step
};

// The four numbers of positions 4 * block .. 4 * block + 3.
inline std::array<uint32_t, 4> philox(const RandomKey& key, uint64_t block) {
  const r123::Philox4x32::ctr_type counter = {
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), key.stream, key.step}};
  const r123::Philox4x32::key_type seed = {
      {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)}};
  const auto r = r123::Philox4x32()(counter, seed);
  return {r[0], r[1], r[2], r[3]};
}

// Uniform in (0, 1): the middles of 2^32 equal intervals.
inline double uniform(uint32_t bits) { return (static_cast<double>(bits) + 0.5) * 0x1p-32; }

}  // namespace etude::kernels
