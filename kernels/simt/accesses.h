#pragma once

#include <cstdint>

namespace etude::emulator {

struct Access {
  void* address;
  int bytes;
  uintptr_t instruction;  // behind it
  bool write;
  bool aligned;  // the type says so
};

// Counts and checks it, if a counted kernel's thread is running.
void observe(const Access& access);

}  // namespace etude::emulator
