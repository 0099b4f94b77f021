#pragma once

// Runs CUDA kernels on the CPU: every thread a fiber, blocks one after the other (those of a
// cluster or of a cooperative launch together). Threads change places only where they wait for one
// another, in an order that a seed decides: what a kernel without a barrier computes depends on it.
//
// A fault is a DeviceError "kernel NAME: block (x, y, z), thread (x, y, z): reason":
// * threads of a block at different barriers, or at one that others never reach;
// * the same for warp operations; a shuffle from a lane that takes no part;
// * shared memory that is too large, or written past the end of a piece.
// Shared memory is full of NaN (every byte 0xff) until written.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace etude::kernels {
struct Launch;
}

namespace etude::emulator {

class Fiber;

struct Index {
  unsigned x, y, z;
  bool operator==(const Index&) const = default;
};

// The order of threads between two meetings. cp.async copies at once in an ascending one, as late
// as may be in a descending one, and either in a shuffled one.
struct Schedule {
  enum Order { ascending, descending, shuffled } order = ascending;
  uint64_t seed = 0;  // of a shuffled one
};
void set_schedule(const Schedule& schedule);

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

extern constinit thread_local Thread* current;

// What the emulated half is made of. All are called by the running thread.
void sync_threads(const Site& site);
void cluster_sync(const Site& site);
void spin();  // lets the others go on
// The lanes of `mask` meet; the last one to come calls apply(lanes, mask) with what each brought.
// Lanes outside of the mask that is given to `apply` have no entry.
void meet(unsigned mask, const Site& site, void* mine,
          void (*apply)(void* const (&lanes)[32], unsigned mask));
int my_lane();
unsigned my_rank();  // of the block in its cluster
Index thread_index();
Index block_index();
Index block_dim();
Index grid_dim();
unsigned present(unsigned mask);  // those of them that the warp has
void* static_shared(const void* key, const char* name, int64_t bytes);
void* dynamic_shared(int64_t offset, int64_t bytes);
void* map_shared(void* shared, unsigned rank);
void copy_later(PendingCopy copy);
void commit_copies();
void finish_copies(int64_t newest);  // all groups but so many
[[noreturn]] void fail(std::string reason);
[[noreturn]] void fail(const Site& site, std::string reason);

// Runs `body` once for every thread.
void run_now(const kernels::Launch& shape, const std::function<void()>& body, bool counted);
// The same, or, while the stream is captured, at each replay.
void submit(const kernels::Stream& stream, const kernels::Launch& shape, std::function<void()> body,
            bool counted);
struct AtomicAccess {
  AtomicAccess();
  ~AtomicAccess();
};
// A counted kernel's thread has its arguments, and begins.
void enter_counted();

// What allocate() has given: begin and bytes.
std::map<uintptr_t, size_t>& device_arrays();

// Runs the host's work in the stream's order: now, or at each replay.
void submit_host(const kernels::Stream& stream, std::function<void()> work);

}  // namespace etude::emulator
