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
#include <string>

#include "kernels/device.h"
#include "kernels/simt/threads.h"

namespace etude::kernels {
struct Launch;
}

namespace etude::emulator {

// The order of threads between two meetings. cp.async copies at once in an ascending one, as late
// as may be in a descending one, and either in a shuffled one.
struct Schedule {
  enum Order { ascending, descending, shuffled } order = ascending;
  uint64_t seed = 0;  // of a shuffled one
};
void set_schedule(const Schedule& schedule);

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
