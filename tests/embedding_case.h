#pragma once

// The embedding's case, for the CPU's tests and the devices'.

#include <fmt/format.h>

#include "kernels/embedding.h"
#include "tests/reference/embedding.h"
#include "tests/reference/harness.h"

namespace etude::tests {

inline OpCase embedding_case(int64_t classes, int64_t dim, const std::vector<int32_t>& ids) {
  const kernels::EmbeddingShape shape{classes, dim, std::ssize(ids)};
  OpCase c;
  c.name = fmt::format("embedding {} ids of {} classes, dim {}", ids.size(), classes, dim);
  c.inputs = {{"table", random_numbers(classes * dim, 1), 0}};
  c.output = {shape.count, dim};
  c.reference_forward = [=](const Arrays& in) {
    return reference::embedding_forward(shape, in[0], ids);
  };
  c.reference_backward = [=](const Arrays&, const Vec& dy) -> Arrays {
    return {reference::embedding_backward(shape, ids, dy)};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernels::cpu::embedding_forward(shape, in[0], ids.data(), y);
  };
  c.backward = [=](const std::vector<const float*>&, const float* dy,
                   const std::vector<Gradient>& g) {
    kernels::cpu::embedding_backward(shape, ids.data(), dy, g[0].data, g[0].write);
  };
  c.bits_of_threads = true;
  c.forward_tolerance = 0;  // a copy
  return c;
}

}  // namespace etude::tests
