#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/dense.h"
#include "kernels/dispatch.h"

namespace etude::ops {

using namespace kernels;

Tensor dense(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b) {
  require_rank("dense", "weight", w, 2);
  const int64_t in = w.size(0), out = w.size(1);
  require_shape("dense", "bias", b, {out});
  if (x.rank() < 1 || x.shape().back() != in)
    throw Error(fmt::format("dense: the input must have {} features, not the shape {}", in,
                            to_string(x.shape())));
  Shape shape = x.shape();
  shape.back() = out;
  const Tensor y = tape.make(shape);
  const DenseShape sizes{x.count() / in, in, out};
  DISPATCH(tape.stream(), dense_forward, sizes, x.data(), w.data(), b.data(), y.data());
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x), dw = tape.gradient(w), db = tape.gradient(b);
    const DenseGradients gradients{dx.data, dx.write, dw.data, dw.write, db.data, db.write};
    DISPATCH(tape.stream(), dense_backward, sizes, x.data(), w.data(), y.grad(), gradients);
  });
  return y;
}

}  // namespace etude::ops
