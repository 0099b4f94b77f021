#include "apps/stop_request.h"

#include <pthread.h>

#include <ctime>

namespace etude::apps {
namespace {

// What a shell has told a background job to ignore stays ignored.
void add_unless_ignored(int signal, sigset_t& set) {
  struct sigaction action {};
  sigaction(signal, nullptr, &action);
  if (action.sa_handler != SIG_IGN) sigaddset(&set, signal);
}

}  // namespace

StopRequest::StopRequest() {
  sigemptyset(&awaited_);
  add_unless_ignored(SIGINT, awaited_);
  add_unless_ignored(SIGTERM, awaited_);
  pthread_sigmask(SIG_BLOCK, &awaited_, &before_);
}

StopRequest::~StopRequest() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

int StopRequest::signal() {
  const timespec at_once{};
  if (received_ == 0) {
    const int signal = sigtimedwait(&awaited_, nullptr, &at_once);
    if (signal > 0) {
      received_ = signal;
      pthread_sigmask(SIG_SETMASK, &before_, nullptr);  // the next one ends the program
    }
  }
  return received_;
}

}  // namespace etude::apps
