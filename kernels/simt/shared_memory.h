#pragma once

// A block's shared memory: pieces with gaps between them. Under AddressSanitizer a gap cannot be
// touched; otherwise it holds a pattern that is looked at when the block ends.

#include <string>

#include "kernels/simt/scheduler.h"

namespace etude::emulator {

inline constexpr int64_t kSharedLimit = 227 * 1024;  // of a block, on sm_90
inline constexpr int64_t kStaticSharedLimit = 48 * 1024;
inline constexpr int kUnwritten = 0xff;

void begin_block(Block& block, int64_t dynamic_bytes);
// Says which piece was written past its end, if one was. The memory is the block's no more: who
// reads it now, from the same cluster, finds NaN.
std::string end_block(Block& block);

// The piece that has this byte, if one has; and whether it lies between or in the block's pieces.
const SharedPiece* holding(const Block& block, const void* address);
bool in_shared(const Block& block, const void* address);

// cp.async: the running thread's, into its own block's shared memory.
void check_copy(const PendingCopy& copy);
void copy_now(const PendingCopy& copy);

}  // namespace etude::emulator
