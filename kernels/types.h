#pragma once

// What all kernels share. Everything is row-major and fp32. A kernel owns no memory: the caller
// does, and keeps it alive for the length of the call. Pointers of one call do not overlap unless
// the contract says so. Kernels trust their arguments; shapes are checked a room above.

#include <cstdint>

#include "kernels/stream.h"

namespace etude::kernels {

// What a backward kernel does with a gradient that may already hold a part: the first to reach it
// overwrites, so that nothing is ever zeroed, later ones add.
enum class Write { overwrite, add };

}  // namespace etude::kernels
