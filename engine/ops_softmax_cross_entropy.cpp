#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/softmax_cross_entropy.h"

namespace etude::ops {

using namespace kernels;

Tensor softmax_cross_entropy(Tape& tape, const Tensor& logits, const int32_t* targets) {
  require_rank("softmax_cross_entropy", "logits", logits, 2);
  const CrossEntropyShape shape{logits.size(0), logits.size(1)};
  for (int64_t i = 0; i < shape.rows; ++i)
    if (targets[i] < 0 || targets[i] >= shape.classes)
      throw Error(fmt::format("softmax_cross_entropy: target {} of row {} is not below {}",
                              targets[i], i, shape.classes));
  const Tensor loss = tape.make({shape.rows});
  float* log_sum_exp = tape.scratch(shape.rows);
  cpu::softmax_cross_entropy_forward(shape, logits.data(), targets, loss.data(), log_sum_exp);
  tape.record([=] {
    // Nobody reads the logits after their gradient: one vocabulary-sized array less.
    Node& node = *logits.node();
    if (node.grad_written) throw Error("softmax_cross_entropy: the logits are read twice");
    node.grad = node.data;
    node.grad_written = true;
    cpu::softmax_cross_entropy_backward(shape, 1.0f, logits.data(), targets, log_sum_exp, node.grad,
                                        Write::overwrite);
  });
  return loss;
}

}  // namespace etude::ops
