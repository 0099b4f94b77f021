#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/attention.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"

namespace etude::ops {

using namespace kernels;

namespace {

DropoutMask mask_of(const Tape& tape, const AttentionOptions& options) {
  if (tape.mode() == Mode::inference) return {};
  const Tape::Randomness random = tape.randomness();
  return {options.dropout, {random.seed, options.dropout_stream, random.device_step}};
}

void run_on_device(Tape& tape, const Tensor& x, const Tensor& wa, const Tensor& ba,
                   const AttentionShape& shape, const DropoutMask& dropout, const Tensor& y) {
  const Stream& stream = tape.stream();
  float* saved = tape.scratch(ON_DEVICE(stream, attention_saved, shape, dropout));
  float* scratch = tape.scratch(ON_DEVICE(stream, attention_scratch, shape, dropout));
  const AttentionWeights weights{wa.data(), ba.data()};
  const KernelSpan span("attention_forward", cost::attention_forward(shape));
  ON_DEVICE(stream, attention_forward, shape, weights, dropout, x.data(), y.data(), saved);
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x), dwa = tape.gradient(wa), dba = tape.gradient(ba);
    const AttentionGradients gradients{dx.data, dx.write, dwa.data, dwa.write, dba.data, dba.write};
    const KernelSpan backward("attention_backward", cost::attention_backward(shape));
    ON_DEVICE(tape.stream(), attention_backward, shape, weights, dropout, x.data(), y.data(),
              y.grad(), saved, scratch, gradients);
  });
}

}  // namespace

Tensor attention(Tape& tape, const Tensor& x, const Tensor& wa, const Tensor& ba,
                 const AttentionOptions& options) {
  require_rank("attention", "input", x, 3);
  require_rank("attention", "weight", wa, 3);
  const int64_t batch = x.size(0), time = x.size(1), features = x.size(2), heads = wa.size(0);
  if (features % heads)
    throw Error(fmt::format("attention: {} heads do not divide {} features", heads, features));
  if (options.width < 1)
    throw Error(fmt::format("attention: the width must be at least 1, not {}", options.width));
  require_shape("attention", "weight", wa, {heads, features / heads, features / heads});
  require_shape("attention", "bias", ba, {heads});
  require_rate("attention", options.dropout);

  const AttentionShape shape{.batch = batch,
                             .time = time,
                             .features = features,
                             .heads = heads,
                             .width = options.width,
                             .sigmoid = options.sigmoid};
  const AttentionWeights weights{wa.data(), ba.data()};
  const Tensor y = tape.make(x.shape());
  if (!tape.on_cpu()) {
    run_on_device(tape, x, wa, ba, shape, mask_of(tape, options), y);
    return y;
  }
  const int64_t squares = batch * heads * time * time;
  const cpu::AttentionSaved saved{tape.scratch(x.count()), tape.scratch(squares),
                                  tape.scratch(squares)};
  {
    const KernelSpan span("attention_forward", cost::attention_forward(shape));
    cpu::attention_forward(shape, weights, x.data(), y.data(), saved);
  }
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x), dwa = tape.gradient(wa), dba = tape.gradient(ba);
    const KernelSpan span("attention_backward", cost::attention_backward(shape));
    cpu::attention_backward(shape, weights, x.data(), y.grad(), saved,
                            {dx.data, dx.write, dwa.data, dwa.write, dba.data, dba.write});
  });
  return dropout(tape, y, options.dropout, options.dropout_stream);
}

}  // namespace etude::ops
