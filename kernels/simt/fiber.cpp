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
constexpr size_t kReserve = kStack / 8;  // what an error's text may need
constexpr size_t kMostFibers = 132 * 1024;
// Tops that lie a page-multiple apart would share the cache's sets.
constexpr size_t kStagger = 320;
constexpr size_t kMostStagger = 32;

// Addresses for all stacks there can be; a page becomes memory when it is touched.
class Stacks {
 public:
  Stacks() {
    void* memory = mmap(nullptr, kStack * kMostFibers, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<char*>(memory);
  }
  ~Stacks() { munmap(memory_, kStack * kMostFibers); }
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  char* stack(size_t number) {
    if (number >= kMostFibers) throw std::bad_alloc();
    return memory_ + number * kStack;
  }
  bool holds(const void* address) const {
    return static_cast<size_t>(static_cast<const char*>(address) - memory_) < kStack * kMostFibers;
  }

 private:
  char* memory_ = nullptr;
};

Stacks& stacks() {
  static thread_local Stacks all;
  return all;
}

// On the new stack: `from.data` is the context that was left.
void arrive(const transfer_t& from, void* fake) {
  auto* left = static_cast<Context*>(from.data);
  left->at = from.fctx;
#if ETUDE_ASAN
  __sanitizer_finish_switch_fiber(fake, &left->bottom, &left->size);
#else
  static_cast<void>(fake);
#endif
}

}  // namespace

void change_stack(Context& from, Context& to) {
#if ETUDE_ASAN
  __sanitizer_start_switch_fiber(&from.fake, to.bottom, to.size);
#endif
  arrive(jump_fcontext(to.at, &from), from.fake);
}

Fiber::Fiber(size_t number) : memory_(stacks().stack(number)) {
  char* top = memory_ + kStack - kStagger * (number % kMostStagger);
  context.bottom = memory_;
  context.size = static_cast<size_t>(top - memory_);
  context.at = make_fcontext(top, context.size, [](transfer_t from) {
    arrive(from, nullptr);
    run_fiber();
  });
}

Fiber::~Fiber() {
#if ETUDE_ASAN
  // A thread that was given up in the middle leaves the red zones of its frames behind.
  __asan_unpoison_memory_region(memory_, kStack);
#endif
}

bool Fiber::deep() const {
  return static_cast<const char*>(__builtin_frame_address(0)) < memory_ + kReserve;
}

bool on_fiber_stack(const void* address) { return stacks().holds(address); }

}  // namespace etude::emulator
