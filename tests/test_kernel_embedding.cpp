#include <doctest/doctest.h>

#include <set>

#include "tests/embedding_case.h"

using namespace etude;
using namespace etude::tests;

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

TEST_CASE("the distinct rows of a minibatch, and sums over their positions") {
  for (const int32_t classes : {1, 5, 400}) {
    const std::vector<int32_t> ids = random_ids(333, 9, classes);
    const kernels::EmbeddingShape shape{classes, 37, std::ssize(ids)};
    std::vector<int32_t> memory(kernels::cpu::distinct_rows_size(shape));
    const auto rows = kernels::cpu::distinct_rows(shape, ids.data(), memory.data());
    CHECK(rows.count == std::ssize(std::set<int32_t>(ids.begin(), ids.end())));
    for (size_t i = 0; i < ids.size(); ++i) CHECK(rows.ids[rows.place[i]] == ids[i]);
    int64_t positions = 0;
    for (int64_t r = 0; r < rows.count; ++r)
      for (int32_t k = rows.begin[r]; k < rows.begin[r + 1]; ++k, ++positions) {
        CHECK(ids[rows.positions[k]] == rows.ids[r]);
        CHECK((k == rows.begin[r] || rows.positions[k] > rows.positions[k - 1]));
      }
    CHECK(positions == std::ssize(ids));

    // The table's gradient by way of the rows has the bits of the direct one.
    const std::vector<float> dy = to_float(random_numbers(shape.count * shape.dim, 4));
    std::vector<float> direct(classes * shape.dim), by_rows(direct), sums(rows.count * shape.dim);
    kernels::cpu::embedding_backward(shape, ids.data(), dy.data(), direct.data(), Write::overwrite);
    kernels::cpu::sum_rows(rows, shape.dim, dy.data(), sums.data(), Write::overwrite);
    kernels::cpu::embedding_backward({classes, shape.dim, rows.count}, rows.ids, sums.data(),
                                     by_rows.data(), Write::overwrite);
    CHECK(direct == by_rows);
    std::vector<float> twice(sums);
    kernels::cpu::sum_rows(rows, shape.dim, dy.data(), twice.data(), Write::add);
    for (size_t i = 0; i < sums.size(); ++i) CHECK(twice[i] == 2 * sums[i]);
  }
}
