#include "apps/stop_request.h"

namespace etude::apps {
namespace {

volatile std::sig_atomic_t received = 0;

void receive(int signal) { received = signal; }

// What a shell has told a background job to ignore stays ignored.
void listen(int signal, struct sigaction& before) {
  struct sigaction action {};
  action.sa_handler = receive;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(signal, &action, &before);
  if (before.sa_handler == SIG_IGN) sigaction(signal, &before, nullptr);
}

}  // namespace

StopRequest::StopRequest() {
  received = 0;
  listen(SIGINT, interrupt_);
  listen(SIGTERM, terminate_);
}

StopRequest::~StopRequest() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
}

int StopRequest::signal() const { return received; }

}  // namespace etude::apps
