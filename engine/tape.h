#pragma once

// The list of what ran, each entry with its backward. The order of recording is already
// topological, so backward walks the list from its end.
//
// A node's first gradient overwrites and later ones add: nothing is ever zeroed. An op asks for the
// place of a gradient with gradient(), which says which of the two it must do.

#include <deque>
#include <functional>
#include <string_view>
#include <utility>

#include "engine/arena.h"
#include "engine/tensor.h"
#include "kernels/span.h"

namespace etude {

enum class Mode { training, inference };

class Tape {
 public:
  // The arena must outlive the tape.
  explicit Tape(Arena& arena) : arena_(arena) {}

  // What keys the dropout masks. On devices the step lies in their memory.
  struct Randomness {
    uint64_t seed = 0;
    uint32_t step = 0;
    const uint32_t* device_step = nullptr;
  };

  // Forgets everything and gives the arena's memory back. In inference nothing is recorded and
  // dropout does nothing.
  void begin(Mode mode, const Randomness& randomness);
  void begin_inference() { begin(Mode::inference, {}); }

  Mode mode() const { return mode_; }
  const kernels::Stream& stream() const { return arena_.stream(); }
  bool on_cpu() const { return stream().device == kernels::Device::cpu; }
  const Randomness& randomness() const { return randomness_; }

  // A tensor of uninitialised values; its memory is the arena's.
  Tensor make(Shape shape);
  // A tensor that shares the values of another under another shape of as many elements. Its
  // gradient is the other's.
  Tensor view(const Tensor& x, Shape shape);
  float* scratch(int64_t count) { return arena_.take(count); }
  int32_t* int_scratch(int64_t count) { return reinterpret_cast<int32_t*>(arena_.take(count)); }

  // Instead of summing an embedding's gradient into its table, backward leaves the gradients of the
  // rows to the optimiser (kernels/nadam_lazy.h): [ids, F], or on the CPU [distinct rows, F]; the
  // arena's.
  void leave_row_gradients(bool yes) { leave_row_gradients_ = yes; }
  bool leaves_row_gradients() const { return leave_row_gradients_; }
  void set_row_gradients(const float* gradients) { row_gradients_ = gradients; }
  const float* row_gradients() const { return row_gradients_; }

  void record(std::function<void()> backward);

  struct Gradient {
    float* data;
    kernels::Write write;
  };
  Gradient gradient(const Tensor& x);

  // What is recorded from here to the end of the scope belongs to a layer, whose name must outlive
  // the step: its forward and its backward are spans (kernels/span.h).
  class LayerScope {
   public:
    LayerScope(Tape& tape, std::string_view layer)
        : tape_(tape),
          outer_(std::exchange(tape.layer_, layer)),
          span_(kernels::SpanKind::forward, layer) {}
    ~LayerScope() { tape_.layer_ = outer_; }
    LayerScope(const LayerScope&) = delete;
    LayerScope& operator=(const LayerScope&) = delete;

   private:
    Tape& tape_;
    std::string_view outer_;
    kernels::Span span_;
  };

  // Runs all backwards, last first. The last op recorded must be a loss.
  void backward();

 private:
  Arena& arena_;
  Mode mode_ = Mode::inference;
  Randomness randomness_;
  bool leave_row_gradients_ = false;
  const float* row_gradients_ = nullptr;
  std::deque<Node> nodes_;  // handles point into it: it must not move them
  struct Backward {
    std::function<void()> run;
    std::string_view layer;
  };
  std::vector<Backward> backwards_;
  std::string_view layer_;  // the innermost open one
};

}  // namespace etude
