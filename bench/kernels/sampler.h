#pragma once

// Times the calls of one benchmark, so many at once that the clock does not matter.

#include <memory>

#include "bench/kernels/case.h"

namespace etude::bench {

class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual int64_t calls() const = 0;  // in a sample
  virtual double sample() = 0;        // seconds of so many calls
};

// On the CPU by its clock. On devices as replays of a captured graph, timed by CUDA's events on a
// GPU; of a graph with the work that goes before and one of that alone, one taken off the other.
std::unique_ptr<Sampler> make_sampler(const Stream& stream, const Work& work);

class Timer {
 public:
  virtual ~Timer() = default;
  virtual void start() = 0;
  virtual double stop() = 0;  // seconds since start(); waits
};
std::unique_ptr<Timer> make_event_timer(const Stream& stream);

}  // namespace etude::bench
