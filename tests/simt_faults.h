#pragma once

// For the tests of the emulation: what a launch says, and one that must work after every fault.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/simt/simt.h"
#include "tests/reference/device.h"

namespace etude::tests {

// The text of the launch's DeviceError; empty if there is none.
template <typename... Arguments>
std::string fault_of(const Arguments&... launch) {
  static const kernels::Stream stream = kernels::open_stream(kernels::Device::simt);
  try {
    kernels::simt::launch(stream, launch...);
  } catch (const kernels::DeviceError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
#define CHECK_CONTAINS(text, part) CHECK_MESSAGE(contains(text, part), text)

// In how many of the schedules `holds()` is true.
template <typename Holds>
int schedules_where(Holds holds) {
  int count = 0;
  for (int schedule = 0; schedule < kSchedules; ++schedule) {
    use_schedule(schedule);
    if (holds()) ++count;
  }
  use_schedule(0);
  return count;
}

}  // namespace etude::tests
