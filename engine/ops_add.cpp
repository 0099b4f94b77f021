#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/add.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"

namespace etude::ops {

using namespace kernels;

Tensor add(Tape& tape, const Tensor& a, const Tensor& b) {
  require_shape("add", "second operand", b, a.shape());
  const Tensor y = tape.make(a.shape());
  const KernelSpan span("add_forward", cost::elementwise(y.count(), 3));
  DISPATCH(tape.stream(), add_forward, y.count(), a.data(), b.data(), y.data());
  tape.record([=, &tape] {
    for (const Tensor& x : {a, b}) {
      const auto dx = tape.gradient(x);
      const KernelSpan backward("add_backward", cost::elementwise_backward(y.count(), 2, dx.write));
      DISPATCH(tape.stream(), add_backward, y.count(), y.grad(), dx.data, dx.write);
    }
  });
  return y;
}

}  // namespace etude::ops
