#pragma once

// Time that a stream takes, between two points of its queue.

#include <memory>

#include "kernels/device.h"

namespace etude::bench {

class Timer {
 public:
  virtual ~Timer() = default;
  virtual void start() = 0;
  virtual double stop() = 0;  // microseconds since start(); waits
};

// CUDA events on a GPU, the host's clock under simt.
std::unique_ptr<Timer> make_timer(const kernels::Stream& stream);
std::unique_ptr<Timer> make_event_timer(const kernels::Stream& stream);

}  // namespace etude::bench
