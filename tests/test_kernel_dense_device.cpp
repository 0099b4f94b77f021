// The dense layer on devices, and the column sums that it needs.

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/matmul.h"
#include "tests/dense_case.h"
#include "tests/reference/device.h"
#include "tests/reference/matmul.h"

using namespace etude;
using namespace etude::tests;
using kernels::DenseShape;
using kernels::Precision;
using kernels::Stream;

namespace {

DeviceOp device_op(const DenseShape& shape) {
  DeviceOp op;
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* y) {
    ON_DEVICE(stream, dense_forward, shape, in[0], in[1], in[2], y);
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float* dy,
                    const std::vector<Gradient>& g) {
    const kernels::DenseGradients gradients{g[0].data,  g[0].write, g[1].data,
                                            g[1].write, g[2].data,  g[2].write};
    ON_DEVICE(stream, dense_backward, shape, in[0], in[1], dy, gradients);
  };
  return op;
}

struct Sums {
  int64_t rows, columns, gap;
  Write write;
};

std::vector<float> computed(const Stream& stream, const Sums& s, const std::vector<float>& x,
                            const std::vector<float>& before) {
  const DeviceArray<float> device_x(stream, x), sums(stream, before);
  ON_DEVICE(stream, column_sums, s.rows, s.columns, device_x.data(), s.columns + s.gap, sums.data(),
            s.write);
  kernels::synchronize(stream);
  CHECK_MESSAGE(sums.guards_intact(), "written outside the sums");
  return sums.read();
}

// With NaN between the rows, and in sums that are to be overwritten.
void check_sums(const Stream& stream, const Sums& s) {
  INFO(s.rows, " x ", s.columns, ", ", s.gap, " between rows");
  const Vec numbers = random_numbers(s.rows * s.columns, 1);
  const int64_t stride = s.columns + s.gap;
  std::vector<float> x((s.rows - 1) * stride + s.columns, NAN), before(s.columns, NAN);
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t j = 0; j < s.columns; ++j)
      x[i * stride + j] = static_cast<float>(numbers[i * s.columns + j]);
  Vec want = reference::column_sums(s.rows, s.columns, numbers);
  if (s.write == Write::add) {
    const Vec base = random_numbers(s.columns, 2);
    before = to_float(base);
    for (size_t j = 0; j < want.size(); ++j) want[j] += base[j];
  }
  use_schedule(0);
  const std::vector<float> sums = computed(stream, s, x, before);
  check_close("column sums", to_double(sums), want, 5e-6);
  for (int schedule = 1; schedule < kSchedules; ++schedule) {
    use_schedule(schedule);
    CHECK_MESSAGE(computed(stream, s, x, before) == sums, "other bits in schedule ", schedule);
  }
  use_schedule(0);
}

}  // namespace

TEST_CASE("column sums on a device meet their reference, with the same bits in every schedule") {
  const auto streams = device_streams(Precision::fp32);
  for (const Stream& stream : streams) {
    for (const Write write : {Write::overwrite, Write::add})
      for (const int64_t rows : {1, 3, 33, 96, 200})
        for (const int64_t columns : {1, 7, 8, 33, 130})
          check_sums(stream, {rows, columns, columns % 3, write});
    check_sums(stream, {4800, 20, 0, Write::overwrite});  // narrow strips of many rows
    check_sums(stream, {33, 8449, 2, Write::overwrite});  // wide strips
    check_sums(stream, {10'000, 1, 0, Write::overwrite});
  }
  close_streams(streams);
}

TEST_CASE("a dense layer on a device computes what the CPU's does") {
  for (const DenseShape& shape :
       {DenseShape{1, 1, 1}, DenseShape{1, 33, 1}, DenseShape{33, 1, 33}, DenseShape{33, 33, 33},
        DenseShape{7, 5, 130}, DenseShape{96, 64, 17}, DenseShape{3, 64, 300}})
    check_on_devices(dense_case(shape), device_op(shape));
}

// How they are rounded is cuBLAS's affair.
TEST_CASE("a dense layer on a device is as exact as the precision of its products") {
  for (const Precision precision : {Precision::tf32, Precision::bf16})
    for (const DenseShape& shape :
         {DenseShape{33, 33, 33}, DenseShape{96, 64, 17}, DenseShape{3, 64, 300}})
      check_on_devices(dense_case(shape), device_op(shape), precision);
}

TEST_CASE("a dense layer on a device leaves out the input's gradient where nobody asks for it") {
  const DenseShape shape{33, 7, 34};
  const std::vector<float> x = to_float(random_numbers(33 * 7, 1)),
                           w = to_float(random_numbers(7 * 34, 2)),
                           dy = to_float(random_numbers(33 * 34, 3));
  const auto streams = device_streams(Precision::fp32);
  for (const Stream& stream : streams) {
    const DeviceArray<float> in(stream, x), weights(stream, w), gradient(stream, dy);
    const DeviceArray<float> dx(stream, 33 * 7);
    std::vector<std::vector<float>> dw, db;
    for (float* to : {dx.data(), static_cast<float*>(nullptr)}) {
      const DeviceArray<float> a(stream, 7 * 34), b(stream, 34);
      const kernels::DenseGradients gradients{
          to, Write::overwrite, a.data(), Write::overwrite, b.data(), Write::overwrite};
      ON_DEVICE(stream, dense_backward, shape, in.data(), weights.data(), gradient.data(),
                gradients);
      dw.push_back(a.read());
      db.push_back(b.read());
    }
    CHECK(dw[0] == dw[1]);
    CHECK(db[0] == db[1]);
  }
  close_streams(streams);
}

TEST_CASE("a captured dense layer follows what lies in the device's memory") {
  const DenseShape shape{5, 3, 40};
  const auto streams = device_streams(Precision::fp32);
  for (const Stream& stream : streams) {
    const Vec w = random_numbers(3 * 40, 2), b = random_numbers(40, 3);
    const DeviceArray<float> in(stream, 15), weights(stream, to_float(w)),
        bias(stream, to_float(b)), y(stream, 200);
    ON_DEVICE(stream, dense_forward, shape, in.data(), weights.data(), bias.data(), y.data());
    kernels::synchronize(stream);  // cuBLAS is found and opened outside of a capture
    kernels::begin_capture(stream);
    ON_DEVICE(stream, dense_forward, shape, in.data(), weights.data(), bias.data(), y.data());
    kernels::Graph graph = kernels::end_capture(stream);
    for (const uint64_t seed : {4, 5}) {
      const Vec x = random_numbers(15, seed);
      const std::vector<float> floats = to_float(x);
      kernels::copy_to_device(stream, in.data(), floats.data(), 15 * sizeof(float));
      kernels::replay(stream, graph);
      kernels::synchronize(stream);
      check_close("y, replayed", to_double(y.read()), reference::dense_forward(shape, x, w, b),
                  1e-5);
    }
    kernels::release(stream, graph);
  }
  close_streams(streams);
}
