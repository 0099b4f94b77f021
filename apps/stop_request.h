#pragma once

// Ctrl-C and SIGTERM as a question that is asked between two steps, so that a step is never left
// half done.
//
// The signals are blocked and fetched, not handled: oneDNN's generated kernels do not survive a
// signal handler's frame on their stack (a run in thirty crashed). Threads inherit the block, so a
// request must be made before the first parallel loop. A second signal ends the program at once.

#include <csignal>
#include <stdexcept>
#include <string>

namespace etude::apps {

// What ends a program that was asked to stop; main turns it into the exit status 128 + signal.
struct Interrupted : std::runtime_error {
  Interrupted(int signal_, const std::string& what) : std::runtime_error(what), signal(signal_) {}
  int signal;
};

class StopRequest {
 public:
  StopRequest();
  ~StopRequest();  // everything as before
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  int signal();  // 0 while there is none

 private:
  sigset_t awaited_, before_;
  int received_ = 0;
};

}  // namespace etude::apps
