#pragma once

// Shuffles that are the same on every machine: std::shuffle and std::uniform_int_distribution may
// differ from library to library, std::mt19937_64's sequence may not.

#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace etude::midi {

// A well mixed 64-bit state of two numbers (Steele's SplitMix64), to seed a generator with.
inline uint64_t mixed_seed(uint64_t seed, uint64_t stream) {
  const auto mix = [](uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
  };
  return mix(mix(seed) + stream);
}

// Uniform in 0 .. n-1, n > 0; by rejection, so that no value is more likely than another.
inline uint64_t below(std::mt19937_64& random, uint64_t n) {
  const uint64_t first_good = -n % n;  // 2^64 mod n
  while (true) {
    const uint64_t x = random();
    if (x >= first_good) return x % n;
  }
}

// Fisher and Yates, from the back.
template <class T>
void shuffle(std::span<T> items, std::mt19937_64& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(random, i)]);
}

}  // namespace etude::midi
