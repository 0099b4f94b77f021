#include "engine/ops.h"
#include "engine/ops_check.h"
#include "kernels/costs.h"
#include "kernels/dispatch.h"
#include "kernels/vocabulary_loss.h"

namespace etude::ops {

using namespace kernels;

Tensor vocabulary_loss(Tape& tape, const Tensor& x, const Tensor& w, const Tensor& b,
                       const int32_t* targets) {
  require_rank("vocabulary_loss", "weight", w, 2);
  const VocabularyLossShape shape{x.size(0), w.size(0), w.size(1)};
  require_shape("vocabulary_loss", "input", x, {shape.rows, shape.in});
  require_shape("vocabulary_loss", "bias", b, {shape.classes});
  if (tape.on_cpu()) require_below("vocabulary_loss", "target", targets, shape.rows, shape.classes);
  const Tensor loss = tape.make({shape.rows});
  float* saved = tape.scratch(PICK(tape.stream(), vocabulary_loss_saved)(shape));
  float* scratch = tape.scratch(PICK(tape.stream(), vocabulary_loss_scratch)(shape));
  const KernelSpan span("vocabulary_loss_forward", cost::vocabulary_loss_forward(shape));
  DISPATCH(tape.stream(), vocabulary_loss_forward, shape, x.data(), w.data(), b.data(), targets,
           loss.data(), saved, scratch);
  tape.record([=, &tape] {
    const auto dx = tape.gradient(x), dw = tape.gradient(w), db = tape.gradient(b);
    const DenseGradients gradients{dx.data, dx.write, dw.data, dw.write, db.data, db.write};
    const KernelSpan backward("vocabulary_loss_backward", cost::vocabulary_loss_backward(shape));
    DISPATCH(tape.stream(), vocabulary_loss_backward, shape, x.data(), w.data(), b.data(), targets,
             saved, scratch, gradients);
  });
  return loss;
}

}  // namespace etude::ops
