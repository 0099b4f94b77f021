#pragma once

// Who has touched each word of a block's shared memory, and whether a barrier lies in between.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simt/scheduler.h"

namespace etude::emulator {

// Of a lane's warp: what each lane knows of each other's progress (a vector clock).
class WarpClock {
 public:
  WarpClock() {
    for (int lane = 0; lane < 32; ++lane) time_[lane][lane] = 1;
  }
  void meet(unsigned mask);
  uint32_t now(int lane) const { return time_[lane][lane]; }
  bool knows(int lane, int other, uint32_t time) const { return time_[lane][other] >= time; }

 private:
  uint32_t time_[32][32] = {};
};

// One access, kept until a later one takes its place.
struct Touch {
  const Thread* by = nullptr;
  uint32_t block_time = 0, cluster_time = 0, warp_time = 0;
  uintptr_t instruction = 0;
  uint8_t bytes = 0;  // of the word, a bit each
  bool atomic = false;
  bool pending = false;  // a cp.async not yet waited for
};

struct Word {
  Touch write;
  Touch reads[2];  // of different warps, if of more than one
};

enum class Clash {
  none,
  unwritten,
  read_after_write,
  write_after_read,
  write_after_write,
  pending
};

struct ClashReport {
  Clash clash = Clash::none;
  Touch other;
};

class SharedShadow {
 public:
  void clear(int64_t offset, int64_t bytes);  // nobody has written there
  // The touches of `bytes` at `offset` by a thread.
  ClashReport access(const Touch& touch, int64_t offset, int64_t bytes, bool write);
  // Written all the same: a store that the compiler does not report.
  void excuse(int64_t offset, int64_t bytes);
  // A cp.async's write has come to its end.
  void arrived(const Touch& touch, int64_t offset, int64_t bytes);

 private:
  ClashReport access_word(Word& word, Touch touch, uint8_t bytes, bool write);
  std::vector<Word> words_;
  std::vector<uint8_t> written_;
};

}  // namespace etude::emulator
