#include "bench/kernels/memory.h"

#include <algorithm>
#include <cmath>

namespace etude::bench {
namespace {

// SplitMix64 (Steele et al. 2014).
uint64_t next(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
double uniform(uint64_t& state) { return static_cast<double>(next(state) >> 11) * 0x1p-53; }

}  // namespace

Memory::~Memory() {
  for (void* array : arrays_) kernels::release(stream_, array);
}

void* Memory::allocate(int64_t bytes) {
  arrays_.push_back(nullptr);
  return arrays_.back() = kernels::allocate(stream_, std::max<int64_t>(bytes, 16));
}

float* Memory::random(int64_t count, float scale, float middle) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) x = middle + scale * static_cast<float>(2 * uniform(seed_) - 1);
  return copy(values);
}

std::vector<float*> Memory::random_sets(int sets, int64_t count, float scale) {
  std::vector<float*> arrays;
  for (int set = 0; set < sets; ++set) arrays.push_back(random(count, scale));
  return arrays;
}

std::vector<int32_t> Memory::random_ids(int64_t count, int64_t classes) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids)
    id = static_cast<int32_t>(static_cast<double>(classes) * std::pow(uniform(seed_), 3));
  return ids;
}

}  // namespace etude::bench
