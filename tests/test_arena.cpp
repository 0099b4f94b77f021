#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "engine/arena.h"

using etude::Arena;

namespace {

std::vector<float*> take_all(Arena& arena, const std::vector<int64_t>& sizes) {
  std::vector<float*> places;
  for (const int64_t size : sizes) places.push_back(arena.take(size));
  return places;
}

}  // namespace

TEST_CASE("what an arena hands out is aligned and does not overlap") {
  Arena arena;
  const std::vector<int64_t> sizes = {1, 33, 16, 3'000'000, 0, 7, 1 << 20};
  const auto places = take_all(arena, sizes);
  for (size_t i = 0; i < sizes.size(); ++i) {
    CHECK(reinterpret_cast<uintptr_t>(places[i]) % 64 == 0);
    std::fill_n(places[i], sizes[i], static_cast<float>(i));
  }
  for (size_t i = 0; i < sizes.size(); ++i)
    for (const int64_t j : {int64_t{0}, sizes[i] / 2, sizes[i] - 1})
      if (j >= 0 && j < sizes[i]) CHECK(places[i][j] == static_cast<float>(i));
}

TEST_CASE("rounds of the same sizes get the same addresses from the second on") {
  Arena arena;
  const std::vector<int64_t> sizes = {100, 2'000'000, 5, 900'000, 1'500'000};
  take_all(arena, sizes);
  arena.rewind();
  const auto second = take_all(arena, sizes);
  const int64_t bytes = arena.bytes();
  arena.rewind();
  CHECK(take_all(arena, sizes) == second);
  CHECK(arena.bytes() == bytes);
}
