#pragma once

// One big allocation for everything that lives as long as a training step: taking is moving a
// pointer, and rewinding gives all of it back. Steps that take the same sizes in the same order get
// the same addresses from the second step on.

#include <cstdint>
#include <vector>

#include "engine/memory.h"

namespace etude {

class Arena {
 public:
  // Its memory is the stream's device's.
  explicit Arena(const kernels::Stream& stream = {}) : stream_(stream) {}

  const kernels::Stream& stream() const { return stream_; }

  // Uninitialised, on a cache line; owned by the arena and valid until rewind().
  float* take(int64_t count);

  // Gives back all that was taken. If one chunk was not enough since the last rewind, the next
  // round gets a single one that is.
  void rewind();

  int64_t bytes() const;  // reserved

 private:
  struct Chunk {
    DeviceMemory memory;
    int64_t size, used;  // floats
  };
  Chunk make_chunk(int64_t size) const;
  kernels::Stream stream_;
  std::vector<Chunk> chunks_;
};

}  // namespace etude
