#include "engine/trace.h"

#include <utility>

namespace etude {

Trace::Trace(const kernels::Stream& stream) : stamps_(kernels::make_stamps(stream)) {}

Trace::Listening::Listening(Trace& trace)
    : before_(std::exchange(kernels::span_listener, &trace)) {}
Trace::Listening::~Listening() { kernels::span_listener = before_; }

int64_t Trace::put_stamp() {
  stamps_->put();
  return stamp_count_++;
}

void Trace::begin(kernels::SpanKind kind, std::string_view name, const kernels::Work& work) {
  if (kind == kernels::SpanKind::step) stamps_->hold();
  recorded_.push_back({{kind, std::string(name), work, innermost_, 0, 0}, 0, 0});
  innermost_ = static_cast<int64_t>(recorded_.size()) - 1;
  stamps_->open_range(recorded_.back().event.name.c_str());
  recorded_.back().begin_stamp = put_stamp();
}

void Trace::end() noexcept {
  Recorded& closed = recorded_[static_cast<size_t>(innermost_)];
  try {
    closed.end_stamp = put_stamp();
  } catch (...) {
    if (!fault_) fault_ = std::current_exception();
  }
  stamps_->close_range();
  innermost_ = closed.event.parent;
}

std::vector<Trace::Event> Trace::events() {
  if (fault_) std::rethrow_exception(fault_);
  const std::vector<double> seconds = stamps_->seconds();
  std::vector<Event> events;
  for (const Recorded& r : recorded_) {
    events.push_back(r.event);
    events.back().begin = seconds[static_cast<size_t>(r.begin_stamp)];
    events.back().end = seconds[static_cast<size_t>(r.end_stamp)];
  }
  return events;
}

}  // namespace etude
