#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "tests/embedding_case.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::EmbeddingShape;
using kernels::Stream;

namespace {

using Ids = std::vector<int32_t>;

// What embedding_index() leaves first: sorted ids, then their positions.
Ids index_on(const Stream& stream, int32_t classes, const Ids& ids) {
  const EmbeddingShape shape{classes, 1, std::ssize(ids)};
  const DeviceArray<int32_t> in(stream, ids),
      index(stream, kernels::simt::embedding_index_size(shape));
  ON_DEVICE(stream, embedding_index, shape, in.data(), index.data());
  kernels::synchronize(stream);
  CHECK(index.guards_intact());
  CHECK(in.read() == ids);
  Ids out = index.read();
  out.resize(2 * ids.size());
  return out;
}

Ids sorted_index(const Ids& ids) {
  Ids positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  std::stable_sort(positions.begin(), positions.end(),
                   [&](int32_t a, int32_t b) { return ids[a] < ids[b]; });
  Ids out;
  for (const int32_t p : positions) out.push_back(ids[p]);
  out.insert(out.end(), positions.begin(), positions.end());
  return out;
}

void check_index(int32_t classes, const Ids& ids, int schedules = kSchedules) {
  const Ids want = sorted_index(ids);
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams)
    for (int schedule = 0; schedule < schedules; ++schedule) {
      INFO(ids.size(), " ids of ", classes, ", schedule ", schedule);
      use_schedule(schedule);
      CHECK(index_on(stream, classes, ids) == want);
    }
  use_schedule(0);
  close_streams(streams);
}

void check_embedding(int32_t classes, int64_t dim, const Ids& ids, bool once = false) {
  const EmbeddingShape shape{classes, dim, std::ssize(ids)};
  OpCase c = embedding_case(classes, dim, ids);
  c.once = once;
  check_on_devices(
      c,
      {.forward =
           [=](const Stream& stream, const DeviceOp::Inputs& in, float* y) {
             const DeviceArray<int32_t> device_ids(stream, ids);
             ON_DEVICE(stream, embedding_forward, shape, in[0], device_ids.data(), y);
             kernels::synchronize(stream);
           },
       .backward =
           [=](const Stream& stream, const DeviceOp::Inputs&, const float* dy,
               const std::vector<Gradient>& g) {
             const DeviceArray<int32_t> device_ids(stream, ids);
             const DeviceArray<int32_t> index(stream, kernels::simt::embedding_index_size(shape));
             ON_DEVICE(stream, embedding_index, shape, device_ids.data(), index.data());
             ON_DEVICE(stream, embedding_backward, shape, index.data(), dy, g[0].data, g[0].write);
             kernels::synchronize(stream);
           }});
}

}  // namespace

TEST_CASE("a minibatch's ids are sorted, equal ones by position") {
  for (const int64_t count : {1, 3, 31, 32, 33, 257, 1000})
    for (const int32_t classes : {1, 7, 36011}) check_index(classes, random_ids(count, 1, classes));
  check_index(2'000'000'000, {1'999'999'999, 0, 1'999'999'999, 5});
  Ids falling(300);
  std::iota(falling.rbegin(), falling.rend(), 0);
  check_index(300, falling);
}

TEST_CASE("ids are sorted at the paper's size, and beyond one tile by merging") {
  check_index(36011, random_ids(96 * 50, 2, 36011), 2);
  for (const int64_t count : {8192, 8193, 10'240, 20'001}) {
    check_index(36011, random_ids(count, 3, 36011), 1);
    check_index(5, random_ids(count, 4, 5), 1);
  }
}

TEST_CASE("an embedding's CUDA kernels compute what the CPU's do") {
  check_embedding(1, 1, {0});
  check_embedding(1, 33, {0, 0, 0});
  check_embedding(33, 1, random_ids(33, 1, 33));
  check_embedding(33, 33, random_ids(100, 2, 33));
  check_embedding(7, 130, random_ids(100, 4, 7));
  check_embedding(7, 132, random_ids(100, 4, 7));
  check_embedding(300, 100, random_ids(333, 3, 300));
  check_embedding(40, 16, Ids(500, 39));
}

TEST_CASE("runs of any length, at any place among the sorted ids, are summed") {
  // A run of more than 32 is cut among the warps of a block, and found by the multiple of 32 it
  // lies across.
  for (const int64_t before : {0, 1, 31, 32, 33})
    for (const int64_t run : {32, 33, 34, 63, 64, 65, 96, 200}) {
      Ids ids(static_cast<size_t>(before), 0);
      ids.insert(ids.end(), static_cast<size_t>(run), 1);
      ids.insert(ids.end(), 40, 2);
      check_embedding(3, 5, ids, true);
    }
  check_embedding(2, 260, Ids(100, 1));
  check_embedding(2, 261, Ids(100, 1));
}

TEST_CASE("an embedding's gradient on a device has the CPU's bits") {
  // Every number of equal ids around the eight that are loaded at a time.
  Ids ids;
  for (int32_t id = 0; id < 20; ++id) ids.insert(ids.end(), static_cast<size_t>(id), id);
  std::rotate(ids.begin(), ids.begin() + 77, ids.end());
  const EmbeddingShape shape{21, 100, std::ssize(ids)};
  const std::vector<float> dy = to_float(random_numbers(shape.count * shape.dim, 6));
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const kernels::Write write : {Write::overwrite, Write::add}) {
    const std::vector<float> base = to_float(random_numbers(shape.classes * shape.dim, 7));
    std::vector<float> want = base;
    kernels::cpu::embedding_backward(shape, ids.data(), dy.data(), want.data(), write);
    for (const Stream& stream : streams) {
      const DeviceArray<int32_t> device_ids(stream, ids),
          index(stream, kernels::simt::embedding_index_size(shape));
      const DeviceArray<float> device_dy(stream, dy), dtable(stream, base);
      ON_DEVICE(stream, embedding_index, shape, device_ids.data(), index.data());
      ON_DEVICE(stream, embedding_backward, shape, index.data(), device_dy.data(), dtable.data(),
                write);
      CHECK(dtable.read() == want);
    }
  }
  close_streams(streams);
}

TEST_CASE("an embedding's CUDA kernels near the paper's size") {
  check_embedding(5000, 100, random_ids(24 * 50, 5, 5000), true);
}
