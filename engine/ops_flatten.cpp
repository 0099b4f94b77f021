#include "engine/ops.h"
#include "engine/ops_check.h"

namespace etude::ops {

Tensor flatten(Tape& tape, const Tensor& x) {
  require_rank("flatten", "input", x, 3);
  return tape.view(x, {x.size(0), x.size(1) * x.size(2)});
}

}  // namespace etude::ops
