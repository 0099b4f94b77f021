#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/gru.h"

namespace etude::ops {

using namespace kernels;

namespace {

void check(const GruDirection& d, int64_t in, int64_t units) {
  require_shape("gru", "kernel", d.kernel, {in, 3 * units});
  require_shape("gru", "recurrent kernel", d.recurrent_kernel, {units, 3 * units});
  require_shape("gru", "bias", d.bias, {3 * units});
  require_shape("gru", "recurrent bias", d.recurrent_bias, {3 * units});
}

// One direction, into the columns of y that begin at `column`.
void run_direction(Tape& tape, const Tensor& x, const GruDirection& d, const GruShape& shape,
                   const Tensor& y, int64_t column) {
  const int64_t steps = shape.batch * shape.time, stride = y.shape().back();
  const cpu::GruSaved saved{tape.scratch(steps * 3 * shape.units),
                            tape.scratch(steps * shape.units), tape.scratch(steps * shape.units)};
  const GruWeights weights{d.kernel.data(), d.recurrent_kernel.data(), d.bias.data(),
                           d.recurrent_bias.data()};
  cpu::gru_forward(shape, weights, x.data(), y.data() + column, stride, saved);
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x);
    const auto dkernel = tape.gradient(d.kernel);
    const cpu::GruGradients gradients{dx.data,
                                      dx.write,
                                      dkernel.data,
                                      tape.gradient(d.recurrent_kernel).data,
                                      tape.gradient(d.bias).data,
                                      tape.gradient(d.recurrent_bias).data,
                                      dkernel.write};
    cpu::gru_backward(shape, weights, x.data(), y.grad() + column, stride, saved, gradients);
  });
}

}  // namespace

Tensor bidirectional_gru(Tape& tape, const Tensor& x, const GruDirection& forward,
                         const GruDirection& backward, GruOutput output) {
  require_rank("gru", "input", x, 3);
  const int64_t batch = x.size(0), time = x.size(1), in = x.size(2);
  const int64_t units = forward.recurrent_kernel.size(0);
  check(forward, in, units);
  check(backward, in, units);
  GruShape shape{batch, time, in, units, false, output == GruOutput::last};
  const Tensor y = output == GruOutput::last ? tape.make({batch, 2 * units})
                                             : tape.make({batch, time, 2 * units});
  run_direction(tape, x, forward, shape, y, 0);
  shape.reverse = true;
  run_direction(tape, x, backward, shape, y, units);
  return y;
}

}  // namespace etude::ops
