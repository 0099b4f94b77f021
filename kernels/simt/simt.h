#pragma once

// The one header that a .cu file includes beside its contract. Compiled by nvcc it is the GPU's
// half; compiled by the C++ compiler, the emulated half, in which every CUDA thread is a fiber.
//
// What kernel source keeps to, so that both compile and mean the same:
// * `namespace etude::kernels::ETUDE_DEVICE`: cuda, simt, or counted.
// * Launched by launch(stream, {.name, .grid, .block, .shared_bytes}, kernel, arguments...) alone.
// * Static shared memory: SIMT_SHARED(float, tile, [16][17]). Dynamic: `DynamicShared shared;
//   float* x = shared.take<float>(n);`, by every thread in the same order, with shared_bytes the
//   sum of DynamicShared::bytes<float>(n).
// * Every thread reaches every barrier, and every lane of a mask every warp operation: no early
//   return before one.
// * PTX only here, in functions that exist in both halves: the list is in either of them.
// * Waiting for another block's flag: only through load_acquire, which lets others run.
// * No lambdas as kernels, no __noinline__, no cooperative_groups.

#include "kernels/stream.h"

namespace etude::kernels {

struct Extent {
  int x = 1, y = 1, z = 1;
};

struct Launch {
  const char* name;  // for errors, reports and traces
  Extent grid, block;
  int64_t shared_bytes = 0;  // dynamic
  int cluster = 1;           // blocks of one cluster, along x (sm_90)
  bool cooperative = false;  // all blocks run at once: grid_barrier() may be used
};

}  // namespace etude::kernels

#if defined(__CUDACC__)
#include "kernels/simt/cuda_half.h"
#else
#include "kernels/simt/emulated_half.h"
#endif
