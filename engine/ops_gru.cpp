#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
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

GruWeights weights_of(const GruDirection& d) {
  return {d.kernel.data(), d.recurrent_kernel.data(), d.bias.data(), d.recurrent_bias.data()};
}

// One direction, into the columns of y that begin at `column`.
void run_direction(Tape& tape, const Tensor& x, const GruDirection& d, const GruShape& shape,
                   const Tensor& y, int64_t column) {
  const int64_t steps = shape.batch * shape.time, stride = y.shape().back();
  // A step at a time is how others do it: from x.
  const bool stepwise = shape.version == GruVersion::stepwise;
  const RowsOfTable of_table = stepwise ? RowsOfTable{} : x.node()->of_table;
  const Tensor source = of_table.rows ? Tensor(of_table.rows) : x;
  const cpu::GruInput input{source.data(), of_table.distinct};
  const cpu::GruSaved saved{
      tape.scratch(steps * 3 * shape.units), tape.scratch(steps * shape.units),
      tape.scratch(steps * shape.units),
      of_table.rows ? tape.scratch(source.size(0) * 3 * shape.units) : nullptr};
  const GruWeights weights = weights_of(d);
  const int64_t rows_read = input.distinct ? input.distinct->count : steps;
  const KernelSpan span("gru_forward", cost::gru_forward(shape, 1, rows_read));
  cpu::gru_forward(shape, weights, input, y.data() + column, stride, saved);
  tape.record([=, &tape] {
    const auto dx = tape.gradient(source);
    const auto dkernel = tape.gradient(d.kernel);
    const cpu::GruGradients gradients{dx.data,
                                      dx.write,
                                      dkernel.data,
                                      tape.gradient(d.recurrent_kernel).data,
                                      tape.gradient(d.bias).data,
                                      tape.gradient(d.recurrent_bias).data,
                                      dkernel.write};
    const KernelSpan backward("gru_backward", cost::gru_backward(shape, 1, rows_read));
    cpu::gru_backward(shape, weights, input, y.grad() + column, stride, saved, gradients);
  });
}

// Both directions at once, as devices do it.
void run_on_device(Tape& tape, const Tensor& x, const GruDirection (&directions)[2],
                   const GruShape& shape, const Tensor& y) {
  const Stream& stream = tape.stream();
  float* saved = tape.scratch(ON_DEVICE_PICK(stream, bidirectional_gru_saved)(shape));
  float* scratch = tape.scratch(ON_DEVICE_PICK(stream, bidirectional_gru_scratch)(shape));
  const GruWeights weights[2] = {weights_of(directions[0]), weights_of(directions[1])};
  const int64_t steps = shape.batch * shape.time;
  const KernelSpan span("bidirectional_gru_forward", cost::gru_forward(shape, 2, steps));
  ON_DEVICE(stream, bidirectional_gru_forward, shape, weights, x.data(), y.data(), saved, scratch);
  const GruDirection forward = directions[0], backward = directions[1];
  tape.record([=, &tape] {
    const GruWeights again[2] = {weights_of(forward), weights_of(backward)};
    const auto dx = tape.gradient(x);
    Write write{};
    GruWeightGradients gradients[2];
    for (int d = 0; d < 2; ++d) {
      const GruDirection& direction = d == 0 ? forward : backward;
      const auto dkernel = tape.gradient(direction.kernel);
      write = dkernel.write;
      gradients[d] = {dkernel.data, tape.gradient(direction.recurrent_kernel).data,
                      tape.gradient(direction.bias).data,
                      tape.gradient(direction.recurrent_bias).data};
    }
    const KernelSpan again_span("bidirectional_gru_backward", cost::gru_backward(shape, 2, steps));
    ON_DEVICE(tape.stream(), bidirectional_gru_backward, shape, again, x.data(), y.grad(), saved,
              scratch, dx.data, dx.write, gradients, write);
  });
}

}  // namespace

Tensor bidirectional_gru(Tape& tape, const Tensor& x, const GruDirection& forward,
                         const GruDirection& backward, GruOutput output, GruVersion version) {
  require_rank("gru", "input", x, 3);
  const int64_t batch = x.size(0), time = x.size(1), in = x.size(2);
  const int64_t units = forward.recurrent_kernel.size(0);
  check(forward, in, units);
  check(backward, in, units);
  GruShape shape{.batch = batch,
                 .time = time,
                 .in = in,
                 .units = units,
                 .last_only = output == GruOutput::last,
                 .version = version};
  const Tensor y = output == GruOutput::last ? tape.make({batch, 2 * units})
                                             : tape.make({batch, time, 2 * units});
  if (!tape.on_cpu()) {
    run_on_device(tape, x, {forward, backward}, shape, y);
    return y;
  }
  run_direction(tape, x, forward, shape, y, 0);
  shape.reverse = true;
  run_direction(tape, x, backward, shape, y, units);
  return y;
}

}  // namespace etude::ops
