#pragma once

// Named ranges for NVIDIA's Nsight tools; nothing in a build without CUDA. Without such a tool
// attached a range costs the reading of a pointer.

#if ETUDE_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace etude::kernels {

inline void push_range([[maybe_unused]] const char* name) {
#if ETUDE_CUDA
  nvtxRangePushA(name);
#endif
}
inline void pop_range() noexcept {
#if ETUDE_CUDA
  nvtxRangePop();
#endif
}

}  // namespace etude::kernels
