#pragma once

// The device versions of an op, checked from the same case object as the CPU's:
// * under simt (kernels/simt/simt.h) in five schedules of its threads: the same bits in each;
// * on the GPU where there is one; where there is none, that is said once, with the reason;
// * against the reference in double and, in fp32, the CPU's kernel;
// * guards around every array on the device, Write::add and overwrite as in harness.h.

#include <functional>
#include <vector>

#include "kernels/device.h"
#include "kernels/dispatch.h"
#include "tests/reference/harness.h"

namespace etude::tests {

struct DeviceOp {
  using Inputs = std::vector<const float*>;  // on the device
  std::function<void(const kernels::Stream&, const Inputs&, float* y)> forward;
  std::function<void(const kernels::Stream&, const Inputs&, const float* dy,
                     const std::vector<Gradient>&)>
      backward;
  // What the op computes when products round their operands as the precision says; exact if empty.
  std::function<Vec(const Arrays& inputs)> rounded_forward = {};
  // Some of them are cuBLAS's, which may round as it likes: compared under simt alone then.
  bool cublas_rounds = false;
  double fp32_tolerance = 1e-5;
  double tf32_tolerance = 2e-3, bf16_tolerance = 1e-2;  // against the exact reference
  double rounded_tolerance = 1e-4;                      // against rounded_forward
};

void check_on_devices(const OpCase& c, const DeviceOp& op,
                      kernels::Precision precision = kernels::Precision::fp32);

// Streams that the tests run on: simt always, cuda if there is a GPU. With $ETUDE_TEST_DEVICES =
// cuda or simt that alone, and a missing GPU is then a failure; with all (the default) it is told.
std::vector<kernels::Stream> device_streams(kernels::Precision precision);
void close_streams(const std::vector<kernels::Stream>& streams);

// Five orders of simt's threads; a test sets each in turn.
inline constexpr int kSchedules = 5;
void use_schedule(int number);

// Runs `work`, or records it and replays it twice; waits.
void run_or_replay(const kernels::Stream& stream, bool captured, const std::function<void()>& work);

// An array on a device, between guards.
class DeviceBytes {
 public:
  DeviceBytes(const kernels::Stream& stream, const void* from, int64_t bytes);  // null: NaN
  ~DeviceBytes();
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  void* data() const;
  void read(void* to) const;  // waits
  bool guards_intact() const;

 private:
  kernels::Stream stream_;
  int64_t bytes_;
  void* memory_;
};

template <typename T>
class DeviceArray {
 public:
  DeviceArray(const kernels::Stream& stream, const std::vector<T>& values)
      : size_(values.size()),
        bytes_(stream, values.data(), static_cast<int64_t>(values.size() * sizeof(T))) {}
  DeviceArray(const kernels::Stream& stream, int64_t count)
      : size_(static_cast<size_t>(count)),
        bytes_(stream, nullptr, count * static_cast<int64_t>(sizeof(T))) {}
  T* data() const { return static_cast<T*>(bytes_.data()); }
  std::vector<T> read() const {
    std::vector<T> values(size_);
    bytes_.read(values.data());
    return values;
  }
  bool guards_intact() const { return bytes_.guards_intact(); }

 private:
  size_t size_;
  DeviceBytes bytes_;
};

}  // namespace etude::tests
