#pragma once

// What a launch tells somebody who watches it: the counting build (count.h).

#include "kernels/simt/scheduler.h"

namespace etude::emulator {

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void begin_launch(const kernels::Launch& shape) = 0;
  virtual void end_launch(bool failed) = 0;
  virtual void begin_block(Block& block) = 0;
  virtual void end_block(Block& block) = 0;
  virtual void add_shared(Block& block, const SharedPiece& piece) = 0;
  // Called when all have come.
  virtual void block_barrier(Block& block) = 0;
  virtual void cluster_barrier(Block& block) = 0;
  virtual void warp_operation(Warp& warp, unsigned mask, const Site& site) = 0;
  // cp.async, of the running thread: when it is asked for, and when it is waited for.
  virtual void begin_copy(const PendingCopy& copy) = 0;
  virtual void end_copy(const PendingCopy& copy) = 0;
};

Observer& counter();   // of counted launches
Observer* observer();  // of the running launch, if it has one

}  // namespace etude::emulator
