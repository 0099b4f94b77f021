#pragma once

// What a Stream's handle points to on the emulated device.

#include <cstdint>
#include <functional>
#include <vector>

namespace etude::emulator {

struct Queue {
  bool capturing = false;
  std::vector<std::function<void()>> recorded;
};

// As if the device had no more memory: past that, allocation is an OutOfMemory as on a GPU.
void limit_memory(int64_t bytes);

}  // namespace etude::emulator
