#pragma once

// A block's shared memory: pieces with gaps between them. Under AddressSanitizer a gap cannot be
// touched; otherwise it holds a pattern that is looked at when the block ends.

#include <string>

#include "kernels/simt/scheduler.h"

namespace etude::emulator {

inline constexpr int64_t kSharedLimit = 227 * 1024;  // of a block, on sm_90
inline constexpr int64_t kStaticSharedLimit = 48 * 1024;

void begin_block(Block& block, int64_t dynamic_bytes);
// Which piece was written past its end, if one was.
std::string end_block(Block& block);

}  // namespace etude::emulator
