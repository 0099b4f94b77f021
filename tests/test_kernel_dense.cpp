#include <doctest/doctest.h>
#include <fmt/format.h>

#include "kernels/dense.h"
#include "tests/reference/dense.h"
#include "tests/reference/harness.h"

using namespace etude;
using namespace etude::tests;
using kernels::DenseShape;

namespace {

OpCase dense_case(const DenseShape& shape) {
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

}  // namespace

TEST_CASE("a dense layer meets its reference at odd sizes") {
  for (const DenseShape& shape :
       {DenseShape{1, 1, 1}, DenseShape{1, 33, 1}, DenseShape{33, 1, 33}, DenseShape{33, 33, 33},
        DenseShape{7, 5, 130}, DenseShape{96, 64, 17}, DenseShape{1, 256, 64},
        DenseShape{3, 64, 1001}})
    check(dense_case(shape));
}

TEST_CASE("a dense layer meets its reference at the paper's sizes") {
  for (const DenseShape& shape :
       {DenseShape{96, 64, 36011}, DenseShape{96, 12800, 64}, DenseShape{96, 256, 64}}) {
    OpCase c = dense_case(shape);
    c.once = true;
    c.probes = 0;
    check(c);
  }
}
