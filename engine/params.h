#pragma once

// All parameters of a model in one flat buffer, and beside it, in the same order, their gradients
// and the optimiser's two moments: one optimiser launch, one file, one range for everything.

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/memory.h"
#include "engine/tensor.h"

namespace etude {

struct Parameter {
  std::string name;  // as in a checkpoint: "gru_1.forward.kernel"
  int64_t offset;    // in every flat buffer, in floats; a multiple of a cache line
  Node node;
  Tensor tensor() { return Tensor(&node); }
};

class ParamSet {
 public:
  // The reference stays valid for the set's life; its data is there after allocate(), its gradient
  // after allocate_training().
  Parameter& add(std::string name, Shape shape);

  // Makes the values, all zero, unless they are there. Nothing can be added afterwards.
  void allocate();
  // Makes the gradients and moments, all zero, unless they are there: inference does without.
  void allocate_training();

  std::deque<Parameter>& all() { return parameters_; }
  const std::deque<Parameter>& all() const { return parameters_; }
  Parameter* find(const std::string& name);  // null where there is none

  // To the device of a stream that outlives the set; what was there goes along. Nothing happens on
  // the device where the set is already.
  void move_to(const kernels::Stream& stream);

  // Of the flat buffers; the gaps between parameters hold zeros.
  int64_t flat_size() const { return flat_size_; }
  // Where kernels work: on the set's device. With a session at work they may be behind, and the
  // gradient of an embedding's table is not among them (kernels/nadam_lazy.h).
  float* values() { return values_.data; }
  float* gradients() { return gradients_.data; }
  float* first_moments() { return first_moments_.data; }
  float* second_moments() { return second_moments_.data; }

  // For files: the same numbers where the host can read them, and, after writing them, back. On
  // the CPU this is the same memory.
  enum class Flat { values, gradients, first_moments, second_moments };
  // Called by on_host() first: a session finishes there what it has put off. What another session
  // has put off is finished before it loses its place.
  void before_host_access(std::function<void()> settle) {
    if (settle_) settle_();
    settle_ = std::move(settle);
  }
  float* on_host(Flat flat);
  void from_host(Flat flat);

  int64_t device_bytes() const;  // of all four buffers, as far as they are there

  int64_t parameter_count() const;  // without the gaps

  void forget_gradients();         // before a step: the next gradient overwrites
  void clear_missing_gradients();  // after backward: 0 where no op has written

 private:
  struct Buffer {
    DeviceMemory memory;
    std::vector<float> host;  // a copy, where the memory is not the host's
    float* data = nullptr;
  };
  bool on_cpu() const { return stream_.device == kernels::Device::cpu; }
  int64_t flat_bytes() const { return flat_size_ * static_cast<int64_t>(sizeof(float)); }
  Buffer& buffer(Flat flat);
  void allocate(Buffer& buffer);
  void move(Buffer& buffer);
  void point_nodes();

  std::function<void()> settle_;
  kernels::Stream stream_;
  std::deque<Parameter> parameters_;
  int64_t flat_size_ = 0;
  Buffer values_, gradients_, first_moments_, second_moments_;
};

}  // namespace etude
