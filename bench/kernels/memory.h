#pragma once

// The arrays of a benchmark, in its device's memory, filled with random numbers.

#include <cstdint>
#include <vector>

#include "kernels/device.h"

namespace etude::bench {

class Memory {
 public:
  explicit Memory(const kernels::Stream& stream) : stream_(stream) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Uniform in (-scale, scale) around `middle`; other numbers at each call.
  float* random(int64_t count, float scale = 1, float middle = 0);
  std::vector<float*> random_sets(int sets, int64_t count, float scale = 1);
  // As tokens are: some classes often, most seldom.
  int32_t* ids(int64_t count, int64_t classes) { return copy(random_ids(count, classes)); }
  std::vector<int32_t> random_ids(int64_t count, int64_t classes);
  template <typename T>
  T* copy(const std::vector<T>& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    void* to = allocate(bytes);
    kernels::copy_to_device(stream_, to, values.data(), bytes);
    kernels::synchronize(stream_);
    return static_cast<T*>(to);
  }

 private:
  void* allocate(int64_t bytes);
  kernels::Stream stream_;
  std::vector<void*> arrays_;
  uint64_t seed_ = 1;
};

}  // namespace etude::bench
