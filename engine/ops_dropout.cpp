#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/dropout.h"

namespace etude::ops {

using namespace kernels;

Tensor dropout(Tape& tape, const Tensor& x, float rate, uint32_t stream) {
  if (!(rate >= 0 && rate < 1))
    throw Error(fmt::format("dropout: the rate must be at least 0 and below 1, not {}", rate));
  if (tape.mode() == Mode::inference || rate == 0) return x;
  const Tensor y = tape.make(x.shape());
  const RandomKey key = tape.random_key(stream);
  cpu::dropout_forward(x.count(), rate, key, x.data(), y.data());
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x);
    cpu::dropout_backward(x.count(), rate, key, y.grad(), dx.data, dx.write);
  });
  return y;
}

}  // namespace etude::ops
