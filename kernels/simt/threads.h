#pragma once

// What the scheduler knows of threads, warps and blocks.

#include <cstdint>
#include <memory>
#include <vector>

namespace etude::emulator {

class Fiber;

struct Index {
  unsigned x, y, z;
  bool operator==(const Index&) const = default;
};

// Where in the source a thread waits.
struct Site {
  const char* what;
  const char* file;
  int line;
};
// A default argument of this form is the caller's place.
#define SIMT_SITE(what) \
  { what, __builtin_FILE(), __builtin_LINE() }

struct PendingCopy {
  void* to;
  const void* from;
  int bytes, zeros;  // copied, then cleared
  Site site{};
  int64_t group = 0;
  bool done = false;  // before it is waited for
};

struct Block;
struct Warp;

struct Thread {
  Index index{};
  int lane = 0;
  bool waiting = false, finished = false;
  bool atomic = false;   // between an atomic operation's read and its write
  bool counted = false;  // in a counted kernel, and in its own code
  Block* block = nullptr;
  Warp* warp = nullptr;
  Fiber* fiber = nullptr;  // while it runs or waits in the middle
  uint32_t eagerness = 0;  // in a shuffled schedule
  Site site{};             // where it waits
  unsigned meets = 0;      // and for which lanes; 0: for the block
  std::vector<PendingCopy> copies;
  int64_t groups = 0;  // of copies, committed
};

// Lanes that have come to one warp operation.
struct Meeting {
  unsigned mask = 0, come = 0;
  Site site{};
};

struct WatchedWarp;
struct WatchedBlock;

struct Warp {
  unsigned lanes = 0;  // that exist
  Thread* threads = nullptr;
  void* brought[32] = {};
  Meeting meetings[32];  // where come is 0: free
  WatchedWarp* watched = nullptr;
};

struct SharedPiece {
  uintptr_t key;  // a static one's identity, or a dynamic one's offset: no object lies so low
  const char* name;
  int64_t offset, bytes;
};

struct Barrier {
  int waiting = 0;
  Site site{};
};

struct FreeShared {
  void operator()(unsigned char* memory) const;
};

struct Block {
  Index index{}, dim{}, grid{};
  unsigned rank = 0;            // in its cluster
  std::vector<Block*> cluster;  // all of it, by rank
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  int unfinished = 0;
  Barrier barrier, cluster_barrier;  // the cluster's: of its first block
  std::unique_ptr<unsigned char, FreeShared> shared;
  std::vector<SharedPiece> pieces;
  int64_t shared_used = 0, static_bytes = 0, dynamic_bytes = 0;
  WatchedBlock* watched = nullptr;
};

}  // namespace etude::emulator
