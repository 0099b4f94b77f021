#pragma once

// Runs CUDA kernels on the CPU: every thread a fiber, blocks one after the other (those of a
// cluster or of a cooperative launch together). Threads change places only where they wait for one
// another, in an order that a seed decides: what a kernel without a barrier computes depends on it.
//
// A fault is a DeviceError "kernel NAME: block (x, y, z), thread (x, y, z): reason":
// * threads of a block at different barriers, or at one that others never reach;
// * the same for warp operations, and for lanes outside of the mask;
// * shared memory that is too large, or written past the end of a piece.
// Shared memory is full of NaN (every byte 0xff) until written.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace etude::kernels {
struct Launch;
}

namespace etude::emulator {

struct Index {
  unsigned x, y, z;
};

// The order of threads between two meetings.
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
  bool operator==(const Site& other) const { return line == other.line && file == other.file; }
};

struct Block;
struct Warp;

struct PendingCopy {
  void* to;
  const void* from;
  int bytes, zeros;  // copied, then cleared
};

struct Thread {
  Index index{};
  int linear = 0, lane = 0;
  Block* block = nullptr;
  Warp* warp = nullptr;
  void* fiber = nullptr;  // while it runs or waits in the middle
  bool waiting = false, finished = false;
  Site site{};  // where it waits
  std::vector<PendingCopy> copies;
  std::vector<size_t> groups;  // ends, in `copies`
};

struct SharedPiece {
  const void* key;
  const char* name;
  int64_t offset, bytes;
};

struct Block {
  Index index{}, dim{}, grid{};
  unsigned rank = 0;            // in its cluster
  std::vector<Block*> cluster;  // all of it, by rank
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  int waiting = 0;          // at the block's barrier
  int cluster_waiting = 0;  // at the cluster's, of the first block
  Site site{}, cluster_site{};
  unsigned char* shared = nullptr;
  std::vector<SharedPiece> pieces;
  int64_t shared_used = 0, shared_named = 0, dynamic_bytes = 0;
};

extern thread_local Thread* current;

// What the emulated half is made of. All are called by the running thread.
void sync_threads(const Site& site);
void cluster_sync(const Site& site);
void spin();  // lets the others go on
// The lanes of `mask` meet; the last one to come calls apply(lanes) with everybody's `mine`.
void meet(unsigned mask, const Site& site, void* mine,
          void (*apply)(void* const (&lanes)[32], unsigned mask));
void* static_shared(const void* key, const char* name, int64_t bytes);
void* dynamic_shared(int64_t offset, int64_t bytes);
void* map_shared(void* shared, unsigned rank);
void copy_later(const PendingCopy& copy);
void commit_copies();
void finish_copies(size_t newest);  // all groups but so many
[[noreturn]] void fail(const std::string& reason);

// Runs `body` once for every thread.
void run_now(const kernels::Launch& shape, const std::function<void()>& body);
// The same, or, while the stream is captured, at each replay.
void submit(const kernels::Stream& stream, const kernels::Launch& shape,
            std::function<void()> body);

// Runs the host's work in the stream's order: now, or at each replay.
void submit_host(const kernels::Stream& stream, std::function<void()> work);

}  // namespace etude::emulator
