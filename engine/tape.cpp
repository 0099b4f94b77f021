#include "engine/tape.h"

#include <fmt/format.h>

#include <utility>

#include "engine/error.h"

namespace etude {

void Tape::begin(Mode mode, const Randomness& randomness) {
  mode_ = mode;
  randomness_ = randomness;
  backwards_.clear();
  nodes_.clear();
  arena_.rewind();
}

Tensor Tape::make(Shape shape) {
  Node& node = nodes_.emplace_back();
  node.data = arena_.take(count(shape));
  node.shape = std::move(shape);
  return Tensor(&node);
}

Tensor Tape::view(const Tensor& x, Shape shape) {
  if (count(shape) != x.count())
    throw Error(fmt::format("a tensor of shape {} cannot be seen as {}", to_string(x.shape()),
                            to_string(shape)));
  Node& node = nodes_.emplace_back();
  node.data = x.data();
  node.shape = std::move(shape);
  const Tensor seen(&node);
  // The view's gradient is made first, in its reader's backward; this entry hands it on.
  record([this, x, seen] {
    if (x.node()->grad_written) throw Error("a tensor that has a view cannot be read otherwise");
    x.node()->grad = seen.node()->grad;
    x.node()->grad_written = seen.node()->grad_written;
  });
  return seen;
}

void Tape::record(std::function<void()> backward) {
  if (mode_ == Mode::training) backwards_.push_back({std::move(backward), layer_});
}

Tape::Gradient Tape::gradient(const Tensor& x) {
  Node& node = *x.node();
  if (!node.grad) node.grad = arena_.take(x.count());
  const auto write =
      std::exchange(node.grad_written, true) ? kernels::Write::add : kernels::Write::overwrite;
  return {node.grad, write};
}

void Tape::backward() {
  for (auto entry = backwards_.rbegin(); entry != backwards_.rend();) {
    const std::string_view layer = entry->layer;
    const kernels::Span span(kernels::SpanKind::backward, layer);
    // One layer's neighbours in the list: names are compared by their place, not their letters.
    for (; entry != backwards_.rend() && entry->layer.data() == layer.data(); ++entry) entry->run();
  }
}

}  // namespace etude
