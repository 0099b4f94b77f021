#pragma once

// Ctrl-C and SIGTERM as a question that a long loop asks between its steps, so that work is saved.

#include <csignal>
#include <stdexcept>

namespace etude::apps {

// What ends a program that was asked to stop; main turns it into the exit status 128 + signal.
struct Interrupted : std::runtime_error {
  Interrupted(int signal_, const std::string& what) : std::runtime_error(what), signal(signal_) {}
  int signal;
};

// Listens while it lives; one at a time. The second signal of a kind ends the program at once.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  int signal() const;  // 0: go on

 private:
  struct sigaction interrupt_ {
  }, terminate_{};
};

}  // namespace etude::apps
