#include "kernels/simt/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ETUDE_ASAN 1
#else
#define ETUDE_ASAN 0
#endif

namespace etude::emulator {
namespace {

using namespace boost::context::detail;

constexpr size_t kStack = ETUDE_ASAN ? 256 * 1024 : 64 * 1024;
// Tops that lie a page-multiple apart would share the cache's sets.
constexpr size_t kStagger = 320;
constexpr size_t kMostStagger = 32;

}  // namespace

struct Fiber::State {
  Run run;
  void* owner;
  char* memory;
  char* top;
  fcontext_t inside, outside = nullptr;
  // AddressSanitizer's: its shadow stack here, and the stack that entered.
  void* fake = nullptr;
  void* host_fake = nullptr;
  const void* host_bottom = nullptr;
  size_t host_size = 0;
};

Fiber::Fiber(Run run, void* owner, int number) : state_(new State) {
  state_->run = run;
  state_->owner = owner;
  void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  state_->memory = static_cast<char*>(memory);
  state_->top = state_->memory + kStack - kStagger * (static_cast<size_t>(number) % kMostStagger);
  state_->inside = make_fcontext(
      state_->top, static_cast<size_t>(state_->top - state_->memory), [](transfer_t from) {
        auto* state = static_cast<State*>(from.data);
        state->outside = from.fctx;
#if ETUDE_ASAN
        __sanitizer_finish_switch_fiber(nullptr, &state->host_bottom, &state->host_size);
#endif
        state->run(state->owner);
      });
}

Fiber::~Fiber() {
#if ETUDE_ASAN
  // A thread that was given up in the middle leaves the red zones of its frames behind.
  __asan_unpoison_memory_region(state_->memory, kStack);
#endif
  munmap(state_->memory, kStack);
}

void Fiber::enter() {
#if ETUDE_ASAN
  __sanitizer_start_switch_fiber(&state_->host_fake, state_->memory,
                                 static_cast<size_t>(state_->top - state_->memory));
#endif
  state_->inside = jump_fcontext(state_->inside, state_.get()).fctx;
#if ETUDE_ASAN
  __sanitizer_finish_switch_fiber(state_->host_fake, nullptr, nullptr);
#endif
}

void Fiber::leave() {
#if ETUDE_ASAN
  __sanitizer_start_switch_fiber(&state_->fake, state_->host_bottom, state_->host_size);
#endif
  state_->outside = jump_fcontext(state_->outside, state_.get()).fctx;
#if ETUDE_ASAN
  __sanitizer_finish_switch_fiber(state_->fake, &state_->host_bottom, &state_->host_size);
#endif
}

}  // namespace etude::emulator
