#include "engine/arena.h"

#include <algorithm>

namespace etude {
namespace {

constexpr int64_t kLine = 16;                // floats on a cache line
constexpr int64_t kSmallestChunk = 1 << 20;  // floats

}  // namespace

Arena::Chunk Arena::make_chunk(int64_t size) const {
  return {DeviceMemory(stream_, size * static_cast<int64_t>(sizeof(float))), size, 0};
}

float* Arena::take(int64_t count) {
  const int64_t size = (count + kLine - 1) / kLine * kLine;
  if (chunks_.empty() || chunks_.back().used + size > chunks_.back().size) {
    const int64_t last = chunks_.empty() ? 0 : chunks_.back().size;
    chunks_.push_back(make_chunk(std::max({size, kSmallestChunk, last})));
  }
  Chunk& chunk = chunks_.back();
  float* p = chunk.memory.as<float>() + chunk.used;
  chunk.used += size;
  return p;
}

void Arena::rewind() {
  if (chunks_.size() > 1) {
    int64_t total = 0;
    for (const Chunk& chunk : chunks_) total += chunk.used;
    chunks_.clear();
    chunks_.push_back(make_chunk(total));
  }
  for (Chunk& chunk : chunks_) chunk.used = 0;
}

int64_t Arena::bytes() const {
  int64_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.size;
  return total * static_cast<int64_t>(sizeof(float));
}

}  // namespace etude
