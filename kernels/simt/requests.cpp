#include "kernels/simt/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace etude::emulator {
namespace {

// A small set of numbers.
class Set {
 public:
  void add(uintptr_t x) { all_[count_++] = x; }
  int64_t distinct() {
    std::sort(begin(), end());
    count_ = static_cast<size_t>(std::unique(begin(), end()) - begin());
    return static_cast<int64_t>(count_);
  }
  uintptr_t* begin() { return all_.data(); }
  uintptr_t* end() { return all_.data() + count_; }

 private:
  std::array<uintptr_t, 64> all_;
  size_t count_ = 0;
};

}  // namespace

Cost sectors(const Request& request, int bytes) {
  Set touched, addresses;
  for (int lane = 0; lane < 32; ++lane) {
    if (!(request.lanes >> lane & 1)) continue;
    const uintptr_t begin = request.address[lane];
    addresses.add(begin);
    touched.add(begin / 32);
    touched.add((begin + static_cast<uintptr_t>(bytes) - 1) / 32);
  }
  return {touched.distinct(), (addresses.distinct() * bytes + 31) / 32};
}

Cost bank_passes(const Request& request, int bytes) {
  const int words = std::max(1, bytes / 4), group = 32 / words;
  Cost cost{0, 0};
  for (int first = 0; first < 32; first += group) {
    Set numbers;
    for (int lane = first; lane < first + group; ++lane)
      for (int word = 0; word < words && (request.lanes >> lane & 1); ++word)
        numbers.add(request.address[lane] / 4 + static_cast<uintptr_t>(word));
    cost.ideal += numbers.distinct() > 0;
    std::array<int64_t, 32> in_bank{};
    for (const uintptr_t number : numbers) ++in_bank[number % 32];
    cost.now += *std::max_element(in_bank.begin(), in_bank.end());
  }
  return cost;
}

namespace {

// The bytes of each of the addresses' contiguous runs; 0 if they differ.
int64_t run_bytes(Set& addresses, int bytes) {
  const int64_t count = addresses.distinct();
  int64_t whole = 0, current = 1;
  for (int64_t i = 1; i <= count; ++i) {
    const uintptr_t* next = addresses.begin() + i;
    if (i < count && *next == next[-1] + static_cast<uintptr_t>(bytes)) {
      ++current;
      continue;
    }
    if (whole && whole != current) return 0;
    whole = std::exchange(current, 1);
  }
  return whole * bytes;
}

}  // namespace

std::string pattern_of(const Request& request, int bytes) {
  Set addresses;
  bool even = true;
  int64_t step = 0;
  int count = 0, before = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if (!(request.lanes >> lane & 1)) continue;
    addresses.add(request.address[lane]);
    const auto apart = static_cast<int64_t>(request.address[lane] - request.address[before]);
    if (++count == 2) step = apart;
    even = even && (count < 2 || apart == step);
    before = lane;
  }
  if (count == 1) return "one lane";
  if (even && step == 0) return "one address";
  if (even && step == bytes) return "side by side";
  if (even) return fmt::format("{} bytes apart", step);
  const int64_t run = run_bytes(addresses, bytes);
  return run > bytes ? fmt::format("runs of {} bytes", run) : "scattered";
}

}  // namespace etude::emulator
