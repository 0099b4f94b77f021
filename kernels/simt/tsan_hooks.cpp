// What code compiled with -fsanitize=thread calls at each access to memory. ThreadSanitizer's own
// runtime is not linked: the counting build answers. Outside of a counted kernel (inline functions
// of the standard library may come from such a file) a call does nothing.

#include <cstddef>
#include <cstdint>

#include "kernels/simt/accesses.h"

using etude::emulator::Access;
using etude::emulator::observe;

#define HERE reinterpret_cast<uintptr_t>(__builtin_return_address(0))
#define ETUDE_HOOKS(size)                                                               \
  void __tsan_read##size(void* p) { observe({p, size, HERE, false, true}); }            \
  void __tsan_write##size(void* p) { observe({p, size, HERE, true, true}); }            \
  void __tsan_volatile_read##size(void* p) { observe({p, size, HERE, false, true}); }   \
  void __tsan_volatile_write##size(void* p) { observe({p, size, HERE, true, true}); }   \
  void __tsan_unaligned_read##size(void* p) { observe({p, size, HERE, false, false}); } \
  void __tsan_unaligned_write##size(void* p) { observe({p, size, HERE, true, false}); }

extern "C" {

ETUDE_HOOKS(1)
ETUDE_HOOKS(2)
ETUDE_HOOKS(4)
ETUDE_HOOKS(8)
ETUDE_HOOKS(16)
void __tsan_read_range(void* p, size_t bytes) {
  observe({p, static_cast<int>(bytes), HERE, false, false});
}
void __tsan_write_range(void* p, size_t bytes) {
  observe({p, static_cast<int>(bytes), HERE, true, false});
}

// Host code's: the launchers stand in the same files. Here as elsewhere.
#define ETUDE_ATOMICS(bits, T)                                                              \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {                                  \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                            \
  }                                                                                         \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) {                               \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                               \
  }                                                                                         \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                               \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                     \
  }                                                                                         \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                              \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                      \
  }                                                                                         \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                              \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                      \
  }                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* e, T v, int, int) {   \
    return __atomic_compare_exchange_n(p, e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* e, T v, int, int) {     \
    return __atomic_compare_exchange_n(p, e, v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }
ETUDE_ATOMICS(8, uint8_t)
ETUDE_ATOMICS(32, uint32_t)
ETUDE_ATOMICS(64, uint64_t)

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void*, void*) {}

}  // extern "C"
