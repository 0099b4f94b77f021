#pragma once

// Part of emulated_half.h: what the lanes of a warp do together.

#include <cstring>

#include "kernels/simt/scheduler.h"

namespace etude::kernels::ETUDE_DEVICE {

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       const etude::emulator::Site& site = SIMT_SITE("__syncwarp")) {
  etude::emulator::meet(mask, site, nullptr, [](void* const(&)[32], unsigned) {});
}

namespace emulated {

// What lanes bring to a meeting, and take away.
struct Exchange {
  uint64_t value;
  int source;
  uint64_t result;
};

inline void exchange(void* const (&lanes)[32], unsigned mask) {
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    auto* mine = static_cast<Exchange*>(lanes[lane]);
    const bool there = mask >> mine->source & 1;
    mine->result = there ? static_cast<Exchange*>(lanes[mine->source])->value : ~uint64_t{0};
  }
}

// What comes from a lane outside of the mask is undefined: NaN.
template <typename T>
T shuffle(unsigned mask, T value, int source, const etude::emulator::Site& site) {
  static_assert(sizeof(T) <= 8);
  Exchange mine{0, source, 0};
  std::memcpy(&mine.value, &value, sizeof value);
  etude::emulator::meet(mask, site, &mine, exchange);
  std::memcpy(&value, &mine.result, sizeof value);
  return value;
}
// The last lanes of up and down read such values on their way; elsewhere they are a fault.
template <typename T>
T shuffle_within(unsigned mask, T value, int source, const etude::emulator::Site& site) {
  if (!(etude::emulator::present(mask) >> source & 1))
    etude::emulator::fail(site, "its source lane is not in the mask, or the block ends before it");
  return shuffle(mask, value, source, site);
}

// A warp is cut into segments of `width` lanes, a power of two. Who would read over its segment's
// border reads itself; only xor reads earlier segments.
inline int segment(int lane, int width) { return lane & ~(width - 1); }

inline unsigned vote(unsigned mask, bool predicate, const etude::emulator::Site& site) {
  Exchange mine{predicate, 0, 0};
  etude::emulator::meet(mask, site, &mine, [](void* const(&lanes)[32], unsigned of) {
    unsigned votes = 0;
    for (int lane = 0; lane < 32; ++lane)
      if (of >> lane & 1) votes |= (static_cast<Exchange*>(lanes[lane])->value ? 1u : 0u) << lane;
    for (int lane = 0; lane < 32; ++lane)
      if (of >> lane & 1) static_cast<Exchange*>(lanes[lane])->result = votes;
  });
  return static_cast<unsigned>(mine.result);
}

}  // namespace emulated

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const etude::emulator::Site& site = SIMT_SITE("__shfl_sync")) {
  return emulated::shuffle_within(
      mask, value, emulated::segment(etude::emulator::my_lane(), width) | (source & (width - 1)),
      site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32,
                  const etude::emulator::Site& site = SIMT_SITE("__shfl_xor_sync")) {
  const int source = etude::emulator::my_lane() ^ (distance & 31);
  const bool later = source >= emulated::segment(etude::emulator::my_lane(), width) + width;
  return emulated::shuffle_within(mask, value, later ? etude::emulator::my_lane() : source, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32,
                   const etude::emulator::Site& site = SIMT_SITE("__shfl_down_sync")) {
  const int source = etude::emulator::my_lane() + static_cast<int>(distance & 31);
  const bool out = source >= emulated::segment(etude::emulator::my_lane(), width) + width;
  return emulated::shuffle(mask, value, out ? etude::emulator::my_lane() : source, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32,
                 const etude::emulator::Site& site = SIMT_SITE("__shfl_up_sync")) {
  const int source = etude::emulator::my_lane() - static_cast<int>(distance & 31);
  const bool out = source < emulated::segment(etude::emulator::my_lane(), width);
  return emulated::shuffle(mask, value, out ? etude::emulator::my_lane() : source, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const etude::emulator::Site& site = SIMT_SITE("__ballot_sync")) {
  return emulated::vote(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate,
                      const etude::emulator::Site& site = SIMT_SITE("__any_sync")) {
  return emulated::vote(mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      const etude::emulator::Site& site = SIMT_SITE("__all_sync")) {
  return emulated::vote(mask, predicate == 0, site) == 0;
}

}  // namespace etude::kernels::ETUDE_DEVICE
