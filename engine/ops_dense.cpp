// With or without an activation behind it.

#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dense.h"
#include "kernels/dense_leaky_relu.h"
#include "kernels/dispatch.h"

namespace etude::ops {

using namespace kernels;

namespace {

DenseShape checked(const Tensor& x, const Tensor& w, const Tensor& b) {
  require_rank("dense", "weight", w, 2);
  const int64_t in = w.size(0), out = w.size(1);
  require_shape("dense", "bias", b, {out});
  if (x.rank() < 1 || x.shape().back() != in)
    throw Error(fmt::format("dense: the input must have {} features, not the shape {}", in,
                            to_string(x.shape())));
  return {x.count() / in, in, out};
}

Tensor make_output(Tape& tape, const Tensor& x, const DenseShape& sizes) {
  Shape shape = x.shape();
  shape.back() = sizes.out;
  return tape.make(shape);
}

DenseGradients gradients_of(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b) {
  const auto dx = tape.gradient(x), dw = tape.gradient(w), db = tape.gradient(b);
  return {dx.data, dx.write, dw.data, dw.write, db.data, db.write};
}

}  // namespace

Tensor dense(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b) {
  const DenseShape sizes = checked(x, w, b);
  const Tensor y = make_output(tape, x, sizes);
  const KernelSpan span("dense_forward", cost::dense_forward(sizes));
  DISPATCH(tape.stream(), dense_forward, sizes, x.data(), w.data(), b.data(), y.data());
  tape.record([=, &tape] {
    const DenseGradients gradients = gradients_of(tape, x, w, b);
    const KernelSpan backward("dense_backward", cost::dense_backward(sizes));
    DISPATCH(tape.stream(), dense_backward, sizes, x.data(), w.data(), y.grad(), gradients);
  });
  return y;
}

Tensor dense_leaky_relu(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b,
                        float slope) {
  if (!(slope >= 0)) return leaky_relu(tape, dense(tape, x, w, b), slope);
  const DenseShape sizes = checked(x, w, b);
  const Tensor y = make_output(tape, x, sizes);
  const KernelSpan span("dense_leaky_relu_forward", cost::dense_leaky_relu_forward(sizes));
  DISPATCH(tape.stream(), dense_leaky_relu_forward, sizes, slope, x.data(), w.data(), b.data(),
           y.data());
  tape.record([=, &tape] {
    float* dsum = tape.scratch(y.count());
    const DenseGradients gradients = gradients_of(tape, x, w, b);
    const KernelSpan backward("dense_leaky_relu_backward", cost::dense_leaky_relu_backward(sizes));
    DISPATCH(tape.stream(), dense_leaky_relu_backward, sizes, slope, x.data(), w.data(), y.data(),
             y.grad(), dsum, gradients);
  });
  return y;
}

}  // namespace etude::ops
