#pragma once

// What a request costs a GPU.

#include <cstdint>
#include <string>

#include "kernels/simt/watched.h"

namespace etude::emulator {

struct Cost {
  int64_t now, ideal;
};

// Sectors of 32 bytes that the lanes' accesses touch; as few as could hold the same bytes.
Cost sectors(const Request& request, int bytes);

// Turns through 32 banks of 4 bytes: lanes go together in groups of 128 bytes at most, and of a
// group one word of each bank a turn. Without conflicts: a turn a group.
Cost bank_passes(const Request& request, int bytes);

// Of the lanes that take part: "side by side", "one address", "8 bytes apart", "runs of 32 bytes",
// "scattered", "one lane".
std::string pattern_of(const Request& request, int bytes);

}  // namespace etude::emulator
