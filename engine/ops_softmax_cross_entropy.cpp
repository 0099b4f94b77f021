#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/softmax_cross_entropy.h"

namespace etude::ops {

using namespace kernels;

Tensor softmax_cross_entropy(Tape& tape, const Tensor& logits, const int32_t* targets) {
  require_rank("softmax_cross_entropy", "logits", logits, 2);
  const CrossEntropyShape shape{logits.size(0), logits.size(1)};
  if (tape.on_cpu())
    require_below("softmax_cross_entropy", "target", targets, shape.rows, shape.classes);
  const Tensor loss = tape.make({shape.rows});
  float* log_sum_exp = tape.scratch(shape.rows);
  const KernelSpan span("softmax_cross_entropy_forward",
                        cost::softmax_cross_entropy_forward(shape));
  DISPATCH(tape.stream(), softmax_cross_entropy_forward, shape, logits.data(), targets, loss.data(),
           log_sum_exp);
  tape.record([=, &tape] {
    // Nobody reads the logits after their gradient: one vocabulary-sized array less.
    Node& node = *logits.node();
    if (node.grad_written) throw Error("softmax_cross_entropy: the logits are read twice");
    node.grad = node.data;
    node.grad_written = true;
    const KernelSpan backward("softmax_cross_entropy_backward",
                              cost::softmax_cross_entropy_backward(shape));
    DISPATCH(tape.stream(), softmax_cross_entropy_backward, shape, 1.0f, logits.data(), targets,
             log_sum_exp, node.grad, Write::overwrite);
  });
  return loss;
}

}  // namespace etude::ops
