// The counting build: what it counts for kernels whose numbers are known, and the faults that it
// finds at the first access.

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <vector>

#include "kernels/device_functions.h"
#include "kernels/simt/count.h"
#include "tests/counted_kernels.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using namespace etude::kernels;

namespace {

// Arrays on the emulated device: x counts up from 0, y is NaN.
struct TwoArrays {
  Stream stream = open_stream(Device::simt);
  DeviceArray<float> x{stream, [] {
                         std::vector<float> numbers(1024);
                         std::iota(numbers.begin(), numbers.end(), 0.0f);
                         return numbers;
                       }()};
  DeviceArray<float> y{stream, 1024};
  ~TwoArrays() { close_stream(stream); }
};

// The one kernel that `run` launches.
template <typename Run>
emulator::KernelCount counts_of(Run run) {
  emulator::start_counting();
  run();
  const auto kernels = emulator::stop_counting();
  REQUIRE(kernels.size() == 1);
  return kernels[0];
}

const emulator::MemorySite& site(const emulator::KernelCount& kernel, bool shared, bool write) {
  for (const auto& site : kernel.sites)
    if (site.shared == shared && site.write == write) return site;
  FAIL("no such instruction");
  return kernel.sites[0];
}

template <typename Launch>
std::string fault_of(Launch launch) {
  try {
    launch();
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "";
}

// Nothing without the fault, whatever the schedule; with it, all of `parts`, whatever the schedule.
template <typename Launch>
void check_fault(Launch launch, const std::vector<std::string>& parts) {
  for (int schedule = 0; schedule < kSchedules; ++schedule) {
    use_schedule(schedule);
    CHECK(fault_of([&] { launch(false); }) == "");
    const std::string text = fault_of([&] { launch(true); });
    for (const std::string& part : parts)
      CHECK_MESSAGE(text.find(part) != std::string::npos, text, ", wanted: ", part);
  }
  use_schedule(0);
}

}  // namespace

TEST_CASE("a transpose: sectors and bank conflicts") {
  const TwoArrays a;
  const auto direct =
      counts_of([&] { counted::transpose_directly(a.stream, a.x.data(), a.y.data()); });
  CHECK(direct.name == "transpose_directly");
  const auto& read = site(direct, false, false);
  CHECK(read.requests == 32);
  CHECK(read.sectors == 4 * 32);
  CHECK(read.ideal_sectors == 4 * 32);
  CHECK(read.pattern == "side by side");
  const auto& write = site(direct, false, true);
  CHECK(write.sectors == 32 * 32);
  CHECK(write.ideal_sectors == 4 * 32);
  CHECK(write.pattern == "128 bytes apart");
  CHECK(write.file.empty() == read.file.empty());
  if (!write.file.empty()) CHECK(write.file == "counted_kernels.cpp");
  for (const bool padded : {false, true}) {
    const auto tile =
        counts_of([&] { counted::transpose_by_tile(a.stream, a.x.data(), a.y.data(), padded); });
    CHECK(tile.barriers == 1);
    CHECK(tile.static_bytes == 32 * (padded ? 33 : 32) * 4);
    CHECK(site(tile, false, true).sectors == 4 * 32);
    CHECK(site(tile, true, true).passes == 32);
    const auto& column = site(tile, true, false);
    CHECK(column.array == "tile");
    CHECK(column.ideal_passes == 32);
    CHECK(column.passes == (padded ? 32 : 32 * 32));
    CHECK(column.worst_passes == (padded ? 1 : 32));
  }
  const std::vector<float> y = a.y.read();
  for (size_t i = 0; i < 1024; ++i) CHECK(y[i] == static_cast<float>(i % 32 * 32 + i / 32));
}

TEST_CASE("vectors of four are one access, and tails are seen") {
  const TwoArrays a;
  const auto count =
      counts_of([&] { counted::add_vectors(a.stream, a.x.data(), a.y.data(), 100); });
  for (const bool write : {false, true}) {
    const auto& one = site(count, false, write);
    CHECK(one.bytes == 16);
    CHECK(one.requests == 4);
    CHECK(one.lanes == 100);
    CHECK(one.whole == 128);
    CHECK(one.sectors == 50);
    CHECK(one.ideal_sectors == 50);
  }
}

TEST_CASE("lanes that take no part") {
  const TwoArrays a;
  const auto count =
      counts_of([&] { counted::half_of_the_lanes(a.stream, a.x.data(), a.y.data()); });
  CHECK(site(count, false, false).pattern == "one address");
  CHECK(site(count, false, false).sectors == 2);
  const auto& write = site(count, false, true);
  CHECK(write.requests == 2);
  CHECK(write.lanes == 32);
  CHECK(write.whole == 64);
  CHECK(write.sectors == 8);
  CHECK(write.ideal_sectors == 4);
}

TEST_CASE("barriers and warp operations; launches of one shape are one entry") {
  const TwoArrays a;
  const auto count = counts_of([&] {
    for (int i = 0; i < 3; ++i) counted::sum_of_block(a.stream, a.x.data(), a.y.data());
  });
  CHECK(count.launches == 3);
  CHECK(count.barriers == 6);
  REQUIRE(count.operations.size() == 1);
  CHECK(count.operations[0].what == "__shfl_xor_sync");
  CHECK(count.operations[0].warps == 3 * 4 * 5);
  CHECK(a.y.read()[0] == 127 * 64);
}

TEST_CASE("races for shared memory are found at the access, with both lines") {
  const TwoArrays a;
  const float* x = a.x.data();
  float* y = a.y.data();
  const Stream& s = a.stream;
  check_fault([&](bool fault) { counted::read_after_write(s, x, y, fault); },
              {"kernel read_after_write: block (0, 0, 0), thread (", "shared tile",
               "no barrier in between"});
  check_fault([&](bool fault) { counted::write_after_read(s, x, y, fault); },
              {"kernel write_after_read: block (0, 0, 0), thread (", "shared tile",
               "no barrier in between"});
  check_fault([&](bool fault) { counted::within_a_warp(s, x, y, fault); },
              {"kernel within_a_warp: block (0, 0, 0), thread (", "reads shared tile"});
  check_fault([&](bool fault) { counted::two_writers(s, y, fault); },
              {"kernel two_writers", "writes shared one", "has written it"});
  check_fault([&](bool fault) { counted::over_a_cluster(s, x, y, fault); },
              {"kernel over_a_cluster", "reads shared tile"});
}

TEST_CASE("a sum by += where an atomic is needed") {
  const TwoArrays a;
  const DeviceArray<int> x(a.stream, std::vector<int>(64, 2)), counts(a.stream, 4);
  check_fault(
      [&](bool fault) { counted::count_by_atomics(a.stream, x.data(), counts.data(), fault); },
      {"kernel count_by_atomics", "shared bins, byte 8"});
}

TEST_CASE("copies that are not waited for, or come too early") {
  const TwoArrays a;
  check_fault([&](bool fault) { counted::copied(a.stream, a.x.data(), a.y.data(), fault); },
              {"kernel copied: block (0, 0, 0), thread (", "cp.async is not waited for"});
  check_fault(
      [&](bool fault) { counted::copied_too_early(a.stream, a.x.data(), a.y.data(), fault); },
      {"kernel copied_too_early", "shared tile", "no barrier in between"});
}

TEST_CASE("reads of what nobody wrote, and accesses outside of every array") {
  const TwoArrays a;
  const Stream& s = a.stream;
  float* y = a.y.data();
  check_fault([&](bool fault) { counted::unwritten(s, y, fault); },
              {"kernel unwritten: block (", "thread (2, 0, 0): reads shared tile, byte 52, at ",
               "which nobody has written"});
  check_fault(
      [&](bool fault) { counted::past_shared(s, y, fault); },
      {"kernel past_shared: block (0, 0, 0), thread (", "outside of every piece of shared"});
  auto* plain = static_cast<float*>(allocate(s, 100 * sizeof(float)));
  check_fault([&](bool fault) { counted::past_global(s, plain, 100, fault); },
              {"kernel past_global: block (0, 0, 0), thread (100, 0, 0): writes 4 bytes at ",
               "outside of every array of the device"});
  release(s, plain);
  check_fault([&](bool fault) { counted::misaligned(s, a.x.data(), y, fault); },
              {"kernel misaligned: block (0, 0, 0), thread (", "no multiple of it"});
}
