#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/dropout.h"

namespace etude::ops {

using namespace kernels;

namespace {

void forward(const Stream&, int64_t n, float rate, const RandomKey& key, const float* x, float* y) {
  cpu::dropout_forward(n, rate, key, x, y);
}
void forward(const Stream& stream, int64_t n, float rate, const DeviceRandomKey& key,
             const float* x, float* y) {
  ON_DEVICE(stream, dropout_forward, n, rate, key, x, y);
}
void backward(const Stream&, int64_t n, float rate, const RandomKey& key, const float* dy,
              float* dx, Write write) {
  cpu::dropout_backward(n, rate, key, dy, dx, write);
}
void backward(const Stream& stream, int64_t n, float rate, const DeviceRandomKey& key,
              const float* dy, float* dx, Write write) {
  ON_DEVICE(stream, dropout_backward, n, rate, key, dy, dx, write);
}

template <typename Key>
void run(Tape& tape, const Tensor& x, const Tensor& y, float rate, const Key& key) {
  const KernelSpan span("dropout_forward", cost::elementwise(x.count(), 2));
  forward(tape.stream(), x.count(), rate, key, x.data(), y.data());
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x);
    const KernelSpan backward_span("dropout_backward",
                                   cost::elementwise_backward(x.count(), 2, dx.write));
    backward(tape.stream(), x.count(), rate, key, y.grad(), dx.data, dx.write);
  });
}

}  // namespace

Tensor dropout(Tape& tape, const Tensor& x, float rate, uint32_t stream) {
  require_rate("dropout", rate);
  if (tape.mode() == Mode::inference || rate == 0) return x;
  const Tensor y = tape.make(x.shape());
  const Tape::Randomness random = tape.randomness();
  if (tape.on_cpu())
    run(tape, x, y, rate, RandomKey{random.seed, stream, random.step});
  else
    run(tape, x, y, rate, DeviceRandomKey{random.seed, stream, random.device_step});
  return y;
}

}  // namespace etude::ops
