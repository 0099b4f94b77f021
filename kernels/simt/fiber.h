#pragma once

// A stack of its own to run a function on, through Boost.Context, and what AddressSanitizer wants
// to know about the change of stacks.

#include <cstddef>
#include <memory>

namespace etude::emulator {

class Fiber {
 public:
  // `run(owner)` is called when the fiber is first entered, and must never return: it leaves by
  // leave() and goes on behind it when entered again.
  using Run = void (*)(void* owner);
  Fiber(Run run, void* owner, int number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void enter();  // from the host's stack
  void leave();  // from this fiber, back to behind enter()

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace etude::emulator
