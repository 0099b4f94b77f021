#pragma once

// Points of time in a stream, for the profiler: the host's clock where work is done at once (on the
// CPU, under simt), CUDA's events on a GPU. There what lies between two of them has a name for
// Nsight too, an NVTX range.

#include <memory>
#include <vector>

#include "kernels/stream.h"

namespace etude::kernels {

class Stamps {
 public:
  virtual ~Stamps() = default;
  // Before a step: keeps the device from beginning until the host has put some of the step into
  // its queue. Otherwise the time between two stamps is that of the host's launches.
  virtual void hold() {}
  virtual void put() = 0;
  virtual void open_range(const char*) {}
  virtual void close_range() noexcept {}
  // Of each that was put, in their order, since the first. Waits for the stream.
  virtual std::vector<double> seconds() = 0;
};

// Not while a step is captured.
std::unique_ptr<Stamps> make_stamps(const Stream& stream);

namespace cuda {
std::unique_ptr<Stamps> make_stamps(const Stream& stream);
}

}  // namespace etude::kernels
