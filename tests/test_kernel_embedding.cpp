#include <doctest/doctest.h>
#include <fmt/format.h>

#include "kernels/embedding.h"
#include "tests/reference/embedding.h"
#include "tests/reference/harness.h"

using namespace etude;
using namespace etude::tests;
using kernels::EmbeddingShape;

namespace {

OpCase embedding_case(int64_t classes, int64_t dim, const std::vector<int32_t>& ids) {
  const EmbeddingShape shape{classes, dim, std::ssize(ids)};
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

}  // namespace

TEST_CASE("an embedding meets its reference at odd sizes") {
  check(embedding_case(1, 1, {0}));
  check(embedding_case(1, 33, {0, 0, 0}));
  check(embedding_case(33, 1, random_ids(33, 1, 33)));
  check(embedding_case(33, 33, random_ids(100, 2, 33)));
  check(embedding_case(500, 100, random_ids(333, 3, 500)));
  check(embedding_case(7, 130, random_ids(1000, 4, 7)));
}

TEST_CASE("an embedding sums repeated ids and clears the rows of unused ones") {
  check(embedding_case(5, 3, {4, 4, 4, 4}));
  check(embedding_case(5, 3, {0, 4, 0, 4, 2, 0}));
  check(embedding_case(1000, 17, {999, 0, 999}));
  check(embedding_case(40, 16, std::vector<int32_t>(5000, 39)));
}

TEST_CASE("an embedding sums in the order of the ids") {
  const std::vector<int32_t> ids(9, 1);
  const std::vector<float> dy = {1e8f, 1.0f, 1.0f, -1e8f, 3.0f, 1e8f, 5.0f, -1e8f, 0.5f};
  float in_order = 0;
  for (const float v : dy) in_order += v;
  std::vector<float> dtable(2);
  kernels::cpu::embedding_backward({2, 1, std::ssize(ids)}, ids.data(), dy.data(), dtable.data(),
                                   Write::overwrite);
  CHECK(dtable == std::vector<float>{0, in_order});
}

TEST_CASE("an embedding meets its reference at the paper's size") {
  OpCase c = embedding_case(36011, 100, random_ids(96 * 50, 5, 36011));
  c.probes = 0;
  check(c);
}
