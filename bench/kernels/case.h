#pragma once

// One benchmark: a kernel at one size on one device.

#include <cstdint>
#include <functional>
#include <string>

#include "kernels/stream.h"

namespace etude::bench {

using kernels::Precision;
using kernels::Stream;

// A kernel with its arrays, ready to be called. Every function puts its work into the case's
// stream; on the CPU it is done when they return.
struct Work {
  int sets = 1;                            // of arrays, used by turns
  bool cold = false;                       // no set is in a cache when its turn comes
  double flops = 0, bytes = 0;             // of a call, the least: kernels/NAME.h
  std::function<void(int set)> call = {};  // what is timed
  std::function<void(int set)> before =
      {};                            // not timed: forward, where backward spoils what that left
  std::function<void()> reset = {};  // not timed, ahead of every sample
  int64_t most_calls = INT64_MAX;    // from one reset to the next
};

// Of issue 3, for an H100, in microseconds a call; 0 where it asks for nothing. The floor is what
// bytes or operations alone take there.
struct Target {
  double floor = 0, must = 0, aim = 0, moon = 0;
};

struct Case {
  std::string op = {}, sizes = {};  // "gru/forward", "B:96/T:50/in:256/H:128"
  Stream stream = {};
  std::string version = {};  // of the device's kernel, where it has several
  Target target = {};
  std::function<Work()> make =
      {};  // when its turn comes: all cases at once would not fit the memory

  std::string name() const;
};

const char* name(Precision precision);
const char* name(kernels::Device device);

}  // namespace etude::bench
