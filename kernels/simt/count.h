#pragma once

// The counting build: kernels compiled a third time, in namespace counted, with every access to
// memory reported (-fsanitize=thread, whose calls tsan_hooks.cpp answers). Accesses of a warp's
// lanes are put together again to what a GPU would do at once, a request, by the instruction and
// how often the lane has come to it since the warp last met.
//
// Each access is also checked, and a fault is a DeviceError that names kernel, block, thread and
// line: a read of shared memory that nobody has written, an access outside of every piece of shared
// memory or outside of every array that allocate() gave, an address that is no multiple of its
// size, and a race for shared memory: two threads, one of which writes, and no barrier in between.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simt/simt.h"

namespace etude::emulator {

// One memory instruction of a kernel.
struct MemorySite {
  std::string file;  // empty where the program has no line table
  int line = 0;
  bool shared = false, write = false, asynchronous = false;
  int bytes = 0;              // a lane's
  std::string array;          // which one; "several" if more than one
  std::string pattern;        // of the addresses of neighbouring lanes
  int64_t requests = 0;       // a warp's accesses
  int64_t lanes = 0;          // that took part, of all requests
  int64_t whole = 0;          // that could have: of the warps that came
  int64_t sectors = 0;        // of 32 bytes, global memory's
  int64_t ideal_sectors = 0;  // if the same bytes lay side by side
  int64_t passes = 0;         // through shared memory's banks
  int64_t ideal_passes = 0;   // without conflicts
  int64_t worst_passes = 0;   // the most of one request, against one phase
};

struct Operations {
  std::string what;
  int64_t warps = 0;  // how often a warp (or a part of one) met for it
};

struct KernelCount {
  std::string name;
  kernels::Extent grid, block;
  int cluster = 1;
  bool cooperative = false;
  int64_t launches = 0;
  int64_t static_bytes = 0, dynamic_bytes = 0;  // shared, a block's
  int64_t barriers = 0, cluster_barriers = 0;   // of all blocks and launches
  std::vector<Operations> operations;
  std::vector<MemorySite> sites;  // in the order of the source
};

// From now on launches of counted kernels are kept; those of the same kernel and shape as one.
void start_counting();
std::vector<KernelCount> stop_counting();

// Arrays of allocate() are "array 1", "array 2" ... unless named.
void name_array(const void* begin, const std::string& name);

}  // namespace etude::emulator
