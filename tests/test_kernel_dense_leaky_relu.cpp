// A dense layer with leaky ReLU behind it, on the CPU and on devices.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "kernels/dense_leaky_relu.h"
#include "kernels/leaky_relu.h"
#include "tests/reference/dense.h"
#include "tests/reference/device.h"
#include "tests/reference/leaky_relu.h"

using namespace etude;
using namespace etude::tests;
using kernels::DenseGradients;
using kernels::DenseShape;
using kernels::Precision;
using kernels::Stream;

namespace {

// Eighths, and for the bias odd multiples of 1/128: every sum is exact in every precision, and none
// is nearer to the kink than 1/128, on whose other side the gradient would be another.
Vec eighths(int64_t n, uint64_t seed) {
  Vec numbers = random_numbers(n, seed);
  for (double& v : numbers) v = std::round(8 * v) / 8;
  return numbers;
}
Vec odd_biases(int64_t n, uint64_t seed) {
  Vec numbers = random_numbers(n, seed);
  for (double& v : numbers) v = (std::floor(64 * v) + 0.5) / 64;
  return numbers;
}

DenseGradients pointers(const std::vector<Gradient>& g) {
  return {g[0].data, g[0].write, g[1].data, g[1].write, g[2].data, g[2].write};
}

OpCase make_case(const DenseShape& s, float slope) {
  OpCase c;
  c.name = fmt::format("dense_leaky_relu {} rows, {} to {}, slope {}", s.rows, s.in, s.out, slope);
  c.inputs = {{"x", eighths(s.rows * s.in, 1), 0},
              {"w", eighths(s.in * s.out, 2), 1},
              {"b", odd_biases(s.out, 3), 2}};
  c.output = {s.rows, s.out};
  c.reference_forward = [=](const Arrays& in) {
    return reference::leaky_relu_forward(slope, reference::dense_forward(s, in[0], in[1], in[2]));
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    const Vec sum = reference::dense_forward(s, in[0], in[1], in[2]);
    const auto g =
        reference::dense_backward(s, in[0], in[1], reference::leaky_relu_backward(slope, sum, dy));
    return {g.dx, g.dw, g.db};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernels::cpu::dense_leaky_relu_forward(s, slope, in[0], in[1], in[2], y);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& g) {
    Guarded y(s.rows * s.out), dsum(s.rows * s.out);
    kernels::cpu::dense_leaky_relu_forward(s, slope, in[0], in[1], in[2], y.data());
    kernels::cpu::dense_leaky_relu_backward(s, slope, in[0], in[1], y.data(), dy, dsum.data(),
                                            pointers(g));
    CHECK(y.guards_intact());
    CHECK(dsum.guards_intact());
  };
  c.dx_may_be_null = true;
  return c;
}

DeviceOp device_op(const DenseShape& s, float slope) {
  DeviceOp op;
  op.forward = [=](const Stream& stream, const DeviceOp::Inputs& in, float* y) {
    ON_DEVICE(stream, dense_leaky_relu_forward, s, slope, in[0], in[1], in[2], y);
  };
  op.backward = [=](const Stream& stream, const DeviceOp::Inputs& in, const float* dy,
                    const std::vector<Gradient>& g) {
    const DeviceArray<float> y(stream, s.rows * s.out), dsum(stream, s.rows * s.out);
    ON_DEVICE(stream, dense_leaky_relu_forward, s, slope, in[0], in[1], in[2], y.data());
    const DenseGradients gradients = pointers(g);
    ON_DEVICE(stream, dense_leaky_relu_backward, s, slope, in[0], in[1], y.data(), dy, dsum.data(),
              gradients);
    kernels::synchronize(stream);
    CHECK(y.guards_intact());
    CHECK(dsum.guards_intact());
  };
  return op;
}

}  // namespace

TEST_CASE("a dense layer with leaky ReLU meets its reference") {
  for (const DenseShape& shape :
       {DenseShape{1, 1, 1}, DenseShape{33, 3, 33}, DenseShape{7, 5, 130}, DenseShape{96, 64, 17}})
    for (const float slope : {0.3f, 0.0f, 1.0f}) check(make_case(shape, slope));
}

TEST_CASE("a dense layer with leaky ReLU has the bits of the two ops on the CPU") {
  const DenseShape s{96, 100, 64};
  const float slope = 0.3f;
  const int64_t n = s.rows * s.out;
  const auto x = to_float(random_numbers(s.rows * s.in, 1)),
             w = to_float(random_numbers(s.in * s.out, 2)), b = to_float(random_numbers(s.out, 3)),
             dy = to_float(random_numbers(n, 4));
  struct Results {
    std::vector<float> y, dsum, dx, dw, db;
    explicit Results(const DenseShape& s)
        : y(s.rows * s.out), dsum(s.rows * s.out), dx(s.rows * s.in), dw(s.in * s.out), db(s.out) {}
    DenseGradients gradients() {
      return {dx.data(),        Write::overwrite, dw.data(),
              Write::overwrite, db.data(),        Write::overwrite};
    }
  } one(s), two(s);
  using namespace kernels::cpu;
  dense_leaky_relu_forward(s, slope, x.data(), w.data(), b.data(), one.y.data());
  dense_leaky_relu_backward(s, slope, x.data(), w.data(), one.y.data(), dy.data(), one.dsum.data(),
                            one.gradients());
  std::vector<float> sum(n);
  dense_forward(s, x.data(), w.data(), b.data(), sum.data());
  leaky_relu_forward(n, slope, sum.data(), two.y.data());
  leaky_relu_backward(n, slope, sum.data(), dy.data(), two.dsum.data(), Write::overwrite);
  dense_backward(s, x.data(), w.data(), two.dsum.data(), two.gradients());
  CHECK(one.y == two.y);
  CHECK(one.dsum == two.dsum);
  CHECK(one.dx == two.dx);
  CHECK(one.dw == two.dw);
  CHECK(one.db == two.db);
}

// Tails of four columns, of a strip and of a block; more rows than one block sums.
TEST_CASE("a dense layer with leaky ReLU on a device computes what the CPU's does") {
  for (const DenseShape& shape :
       {DenseShape{1, 1, 1}, DenseShape{3, 3, 33}, DenseShape{33, 5, 64}, DenseShape{7, 5, 130},
        DenseShape{130, 3, 12}, DenseShape{512, 2, 9}, DenseShape{513, 2, 9}})
    check_on_devices(make_case(shape, 0.3f), device_op(shape, 0.3f));
  check_on_devices(make_case({33, 5, 10}, 0.0f), device_op({33, 5, 10}, 0.0f));
}

TEST_CASE("a dense layer with leaky ReLU on a device, in every precision, at the models' size") {
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    OpCase c = make_case({96, 40, 64}, 0.3f);
    c.once = true;
    check_on_devices(c, device_op({96, 40, 64}, 0.3f), precision);
  }
}

TEST_CASE("a dense layer with leaky ReLU captured and replayed computes the same bits") {
  const DenseShape s{33, 7, 34};
  const auto streams = device_streams(Precision::fp32);
  for (const Stream& stream : streams) {
    const DeviceArray<float> x(stream, to_float(eighths(s.rows * s.in, 1))),
        w(stream, to_float(eighths(s.in * s.out, 2))), b(stream, to_float(odd_biases(s.out, 3))),
        dy(stream, to_float(random_numbers(s.rows * s.out, 4)));
    const auto step = [&](bool captured) {
      const DeviceArray<float> y(stream, s.rows * s.out), dsum(stream, s.rows * s.out),
          dw(stream, s.in * s.out), db(stream, s.out);
      const auto run = [&] {
        ON_DEVICE(stream, dense_leaky_relu_forward, s, 0.3f, x.data(), w.data(), b.data(),
                  y.data());
        const DenseGradients gradients{nullptr,          Write::overwrite, dw.data(),
                                       Write::overwrite, db.data(),        Write::overwrite};
        ON_DEVICE(stream, dense_leaky_relu_backward, s, 0.3f, x.data(), w.data(), y.data(),
                  dy.data(), dsum.data(), gradients);
      };
      run_or_replay(stream, captured, run);
      return std::vector{y.read(), dsum.read(), dw.read(), db.read()};
    };
    CHECK(step(true) == step(false));
  }
  close_streams(streams);
}
