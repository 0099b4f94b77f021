#pragma once

// What the counting build keeps beside each warp and block while they run.

#include <deque>
#include <vector>

#include "kernels/simt/races.h"

namespace etude::emulator {

// Addresses that a warp's lanes give to one instruction at once.
struct Request {
  unsigned lanes = 0;
  uintptr_t address[32];
};

// A warp's way through one instruction since it last met: lanes come one after the other.
struct Visits {
  uint32_t count[32] = {};
  uint32_t first = 0;  // the number of the first request that is kept
  std::deque<Request> open;
};

struct WatchedWarp {
  WarpClock clock;
  std::vector<Visits> sites;  // by their number in the launch
};

struct WatchedBlock {
  uint32_t time = 0, cluster_time = 0;
  SharedShadow shadow;
  std::vector<WatchedWarp> warps;
};

}  // namespace etude::emulator
