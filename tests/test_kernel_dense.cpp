#include <doctest/doctest.h>

#include "tests/dense_case.h"

using namespace etude;
using namespace etude::tests;
using kernels::DenseShape;

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
