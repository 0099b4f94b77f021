#include "engine/params.h"

#include <algorithm>
#include <utility>

#include "engine/error.h"

namespace etude {

constexpr int64_t kLine = 16;  // floats on a cache line

Parameter& ParamSet::add(std::string name, Shape shape) {
  if (!values_.empty()) throw Error("parameter " + name + " comes after allocate()");
  if (find(name)) throw Error("two parameters are called " + name);
  Parameter& p = parameters_.emplace_back();
  p.name = std::move(name);
  p.offset = flat_size_;
  p.node.shape = std::move(shape);
  flat_size_ += (count(p.node.shape) + kLine - 1) / kLine * kLine;
  return p;
}

void ParamSet::allocate() {
  if (!values_.empty()) return;
  values_.assign(static_cast<size_t>(flat_size_), 0.0f);
  for (Parameter& p : parameters_) p.node.data = values_.data() + p.offset;
}

void ParamSet::allocate_training() {
  if (!gradients_.empty()) return;
  for (auto* buffer : {&gradients_, &first_moments_, &second_moments_})
    buffer->assign(static_cast<size_t>(flat_size_), 0.0f);
  for (Parameter& p : parameters_) p.node.grad = gradients_.data() + p.offset;
}

Parameter* ParamSet::find(const std::string& name) {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const Parameter& p) { return p.name == name; });
  return found == parameters_.end() ? nullptr : &*found;
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
    if (!p.node.grad_written) std::fill_n(p.node.grad, count(p.node.shape), 0.0f);
}

}  // namespace etude
