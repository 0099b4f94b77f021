#include "engine/ops.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/leaky_relu.h"

namespace etude::ops {

using namespace kernels;

Tensor leaky_relu(Tape& tape, const Tensor& x, float slope) {
  const Tensor y = tape.make(x.shape());
  const KernelSpan span("leaky_relu_forward", cost::elementwise(x.count(), 2));
  DISPATCH(tape.stream(), leaky_relu_forward, x.count(), slope, x.data(), y.data());
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x);
    const KernelSpan backward("leaky_relu_backward",
                              cost::elementwise_backward(x.count(), 3, dx.write));
    DISPATCH(tape.stream(), leaky_relu_backward, x.count(), slope, x.data(), y.grad(), dx.data,
             dx.write);
  });
  return y;
}

}  // namespace etude::ops
