#pragma once

// Stacks to run functions on, through Boost.Context, and what AddressSanitizer wants to know about
// the change from one to another.

#include <cstddef>

namespace etude::emulator {

// Where a stack was left: a fiber's, or the host's.
struct Context {
  void* at = nullptr;
  // AddressSanitizer's.
  void* fake = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;
};

// Leaves `from`, the running one, for `to`; returns when somebody comes back to `from`.
void change_stack(Context& from, Context& to);

class Fiber {
 public:
  explicit Fiber(size_t number);  // numbers that are alive at once differ
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  bool deep() const;  // the running function has all but used up its stack

  Context context;

 private:
  char* memory_;
};

// What a fiber runs when it is first entered; never returns. The scheduler's.
void run_fiber();

// Is the address on any fiber's stack?
bool on_fiber_stack(const void* address);

}  // namespace etude::emulator
