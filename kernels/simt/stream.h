#pragma once

// What a Stream's handle points to on the emulated device.

#include <functional>
#include <vector>

namespace etude::emulator {

struct Queue {
  bool capturing = false;
  std::vector<std::function<void()>> recorded;
};

}  // namespace etude::emulator
