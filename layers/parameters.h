#pragma once

#include "engine/params.h"
#include "engine/random.h"

namespace etude {

// A layer's hold on one parameter of the set.
class LayerParameter {
 public:
  LayerParameter(ParamSet& params, std::string name, Shape shape)
      : number_(static_cast<uint32_t>(params.all().size())),
        parameter_(&params.add(std::move(name), std::move(shape))) {}

  Tensor tensor() const { return parameter_->tensor(); }
  int64_t count() const { return etude::count(parameter_->node.shape); }
  const Parameter& get() const { return *parameter_; }

  // Numbers for this parameter's initial values alone.
  RandomSequence random(uint64_t seed) const { return {seed, number_}; }

 private:
  uint32_t number_;
  Parameter* parameter_;
};

}  // namespace etude
