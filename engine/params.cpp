#include "engine/params.h"

#include <algorithm>
#include <utility>

#include "engine/error.h"

namespace etude {

constexpr int64_t kLine = 16;  // floats on a cache line

Parameter& ParamSet::add(std::string name, Shape shape) {
  if (values_.data) throw Error("parameter " + name + " comes after allocate()");
  if (find(name)) throw Error("two parameters are called " + name);
  Parameter& p = parameters_.emplace_back();
  p.name = std::move(name);
  p.offset = flat_size_;
  p.node.shape = std::move(shape);
  flat_size_ += (count(p.node.shape) + kLine - 1) / kLine * kLine;
  return p;
}

void ParamSet::allocate(Buffer& buffer) {
  if (buffer.data) return;
  buffer.memory = DeviceMemory(stream_, flat_bytes());
  buffer.data = buffer.memory.as<float>();
  kernels::clear(stream_, buffer.data, flat_bytes());
}

// From the CPU to the device.
void ParamSet::move(Buffer& buffer) {
  if (!buffer.data) return;
  DeviceMemory there(stream_, flat_bytes());
  kernels::copy_to_device(stream_, there.as<float>(), buffer.data, flat_bytes());
  kernels::synchronize(stream_);
  buffer.memory = std::move(there);
  buffer.data = buffer.memory.as<float>();
}

void ParamSet::point_nodes() {
  for (Parameter& p : parameters_) {
    p.node.data = values_.data ? values_.data + p.offset : nullptr;
    p.node.grad = gradients_.data ? gradients_.data + p.offset : nullptr;
  }
}

void ParamSet::allocate() {
  allocate(values_);
  point_nodes();
}

void ParamSet::allocate_training() {
  if (gradients_.data) return;
  for (Buffer* buffer : {&gradients_, &first_moments_, &second_moments_}) allocate(*buffer);
  point_nodes();
}

void ParamSet::move_to(const kernels::Stream& stream) {
  if (stream.device == stream_.device) return;
  if (!on_cpu()) throw Error("parameters move from the CPU to a device, not back");
  stream_ = stream;
  for (Buffer* buffer : {&values_, &gradients_, &first_moments_, &second_moments_}) move(*buffer);
  point_nodes();
}

ParamSet::Buffer& ParamSet::buffer(Flat flat) {
  switch (flat) {
    case Flat::gradients:
      return gradients_;
    case Flat::first_moments:
      return first_moments_;
    case Flat::second_moments:
      return second_moments_;
    default:
      return values_;
  }
}

float* ParamSet::on_host(Flat flat) {
  if (settle_) settle_();
  Buffer& b = buffer(flat);
  if (on_cpu()) return b.data;
  b.host.resize(static_cast<size_t>(flat_size_));
  if (b.data) kernels::copy_to_host(stream_, b.host.data(), b.data, flat_bytes());
  return b.host.data();
}

void ParamSet::from_host(Flat flat) {
  if (on_cpu()) return;
  Buffer& b = buffer(flat);
  allocate(b);
  kernels::copy_to_device(stream_, b.data, b.host.data(), flat_bytes());
  kernels::synchronize(stream_);
}

Parameter* ParamSet::find(const std::string& name) {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const Parameter& p) { return p.name == name; });
  return found == parameters_.end() ? nullptr : &*found;
}

int64_t ParamSet::device_bytes() const {
  int64_t total = 0;
  for (const Buffer* b : {&values_, &gradients_, &first_moments_, &second_moments_})
    total += b->memory.bytes();
  return total;
}

int64_t ParamSet::parameter_count() const {
  int64_t total = 0;
  for (const Parameter& p : parameters_) total += count(p.node.shape);
  return total;
}

void ParamSet::forget_gradients() {
  for (Parameter& p : parameters_) p.node.grad_written = false;
}

void ParamSet::clear_missing_gradients() {
  for (Parameter& p : parameters_)
    if (!p.node.grad_written)
      kernels::clear(stream_, p.node.grad,
                     count(p.node.shape) * static_cast<int64_t>(sizeof(float)));
}

}  // namespace etude
