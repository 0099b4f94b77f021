#pragma once

// The case object of a dense layer, for the CPU's test and the devices'.

#include <fmt/format.h>

#include "kernels/dense.h"
#include "tests/reference/dense.h"
#include "tests/reference/harness.h"

namespace etude::tests {

inline OpCase dense_case(const kernels::DenseShape& shape) {
  OpCase c;
  c.name = fmt::format("dense {} rows, {} to {}", shape.rows, shape.in, shape.out);
  c.inputs = {{"x", random_numbers(shape.rows * shape.in, 1), 0},
              {"w", random_numbers(shape.in * shape.out, 2), 1},
              {"b", random_numbers(shape.out, 3), 2}};
  c.output = {shape.rows, shape.out};
  c.reference_forward = [=](const Arrays& in) {
    return reference::dense_forward(shape, in[0], in[1], in[2]);
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    const auto g = reference::dense_backward(shape, in[0], in[1], dy);
    return {g.dx, g.dw, g.db};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernels::cpu::dense_forward(shape, in[0], in[1], in[2], y);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& g) {
    kernels::cpu::dense_backward(shape, in[0], in[1], dy,
                                 {.dx = g[0].data,
                                  .dx_write = g[0].write,
                                  .dw = g[1].data,
                                  .dw_write = g[1].write,
                                  .db = g[2].data,
                                  .db_write = g[2].write});
  };
  c.dx_may_be_null = true;
  return c;
}

}  // namespace etude::tests
