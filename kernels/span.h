#pragma once

// Named stretches of a training step, for `etude profile`: whoever listens is told where each
// begins and ends, and the least that it has to do. While nobody listens a span costs the reading
// of one pointer.

#include <string_view>

namespace etude::kernels {

// FLOPs, and the bytes that must be read and written once; kernels/costs.h says them.
struct Work {
  double flops = 0, bytes = 0;
};
inline Work operator+(const Work& a, const Work& b) {
  return {a.flops + b.flops, a.bytes + b.bytes};
}

enum class SpanKind {
  step,      // one training step
  forward,   // of a layer
  backward,  // of a layer
  stage,     // of a step and no layer's: data, update, losses
  kernel,    // an operation
  part,      // of a kernel: what its launcher starts, one after the other
};

class SpanListener {
 public:
  virtual ~SpanListener() = default;
  virtual void begin(SpanKind kind, std::string_view name, const Work& work) = 0;
  virtual void end() noexcept = 0;
};

// Of this thread. The others of a parallel region have none, so a span in one is the first
// thread's alone.
inline thread_local constinit SpanListener* span_listener = nullptr;

class Span {
 public:
  Span(SpanKind kind, std::string_view name, const Work& work = {}) : listener_(span_listener) {
    if (listener_) listener_->begin(kind, name, work);
  }
  ~Span() {
    if (listener_) listener_->end();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  SpanListener* listener_;
};

struct KernelSpan : Span {
  explicit KernelSpan(std::string_view name, const Work& work = {})
      : Span(SpanKind::kernel, name, work) {}
};
struct PartSpan : Span {
  explicit PartSpan(std::string_view name, const Work& work = {})
      : Span(SpanKind::part, name, work) {}
};

}  // namespace etude::kernels
