#pragma once

// Owners of what kernels/device.h opens and allocates.

#include <utility>

#include "kernels/device.h"

namespace etude {

// A stream, closed with the object. Everything that lives on it must go first.
class OwnedStream {
 public:
  explicit OwnedStream(kernels::Device device,
                       kernels::Precision precision = kernels::Precision::fp32)
      : stream_(kernels::open_stream(device, precision)) {}
  ~OwnedStream() { kernels::close_stream(stream_); }
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  const kernels::Stream& get() const { return stream_; }

 private:
  kernels::Stream stream_;
};

// Uninitialised memory on a stream's device, aligned to 256 bytes.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(const kernels::Stream& stream, int64_t bytes)
      : stream_(stream), bytes_(bytes), data_(kernels::allocate(stream, bytes)) {}
  ~DeviceMemory() {
    if (data_) kernels::release(stream_, data_);
  }
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(stream_, other.stream_);
    std::swap(bytes_, other.bytes_);
    std::swap(data_, other.data_);
    return *this;
  }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  int64_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  kernels::Stream stream_;
  int64_t bytes_ = 0;
  void* data_ = nullptr;
};

}  // namespace etude
