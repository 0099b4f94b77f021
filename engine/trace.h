#pragma once

// What ran and when: every span (kernels/span.h) that the thread marks while the trace listens.

#include <exception>
#include <string>
#include <vector>

#include "kernels/span.h"
#include "kernels/stamps.h"

namespace etude {

class Trace : public kernels::SpanListener {
 public:
  // The stream that the spans' work goes into.
  explicit Trace(const kernels::Stream& stream);

  // From here to the end of the scope.
  class Listening {
   public:
    explicit Listening(Trace& trace);
    ~Listening();
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    kernels::SpanListener* before_;
  };

  struct Event {
    kernels::SpanKind kind;
    std::string name;
    kernels::Work work;
    int64_t parent;     // its place in the list; -1: nobody's
    double begin, end;  // seconds since the trace's first
  };
  // All spans, which have ended, in the order of their beginnings. Waits for the stream. Rethrows
  // what went wrong where a span ended.
  std::vector<Event> events();

 private:
  void begin(kernels::SpanKind kind, std::string_view name, const kernels::Work& work) override;
  void end() noexcept override;
  int64_t put_stamp();

  struct Recorded {
    Event event;
    int64_t begin_stamp, end_stamp;
  };
  std::unique_ptr<kernels::Stamps> stamps_;
  int64_t stamp_count_ = 0;
  std::vector<Recorded> recorded_;
  int64_t innermost_ = -1;  // of the open ones
  std::exception_ptr fault_;
};

}  // namespace etude
