#pragma once

// One big allocation for everything that lives as long as a training step: taking is moving a
// pointer, and rewinding gives all of it back. Steps that take the same sizes in the same order get
// the same addresses from the second step on.

#include <cstdint>
#include <memory>
#include <vector>

namespace etude {

class Arena {
 public:
  // Uninitialised, on a cache line; owned by the arena and valid until rewind().
  float* take(int64_t count);

  // Gives back all that was taken. If one chunk was not enough since the last rewind, the next
  // round gets a single one that is.
  void rewind();

  int64_t bytes() const;  // reserved

 private:
  struct Free {
    void operator()(float* p) const;
  };
  struct Chunk {
    std::unique_ptr<float, Free> data;
    int64_t size = 0, used = 0;
  };
  static Chunk make_chunk(int64_t size);
  std::vector<Chunk> chunks_;
};

}  // namespace etude
