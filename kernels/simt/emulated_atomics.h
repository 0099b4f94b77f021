#pragma once

// Part of emulated_half.h: atomic operations, and the flags by which blocks wait for one another.

#include <algorithm>
#include <type_traits>

#include "kernels/simt/scheduler.h"

namespace etude::kernels::ETUDE_DEVICE {

inline void __threadfence() {}
inline void __threadfence_block() {}

// One thread runs at a time, so these are atomic as they stand.
namespace emulated {

template <typename T, typename Change>
T change_memory(T* p, Change change) {
  const T before = *p;
  *p = change(before);
  return before;
}
template <typename T, typename Change>
T change_atomically(T* p, Change change) {
  if constexpr (ETUDE_COUNTED) {
    const etude::emulator::AtomicAccess atomic;
    return change_memory(p, change);
  } else {
    return change_memory(p, change);
  }
}

}  // namespace emulated

template <typename T>
T atomicAdd(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return static_cast<T>(before + value); });
}
template <typename T>
T atomicSub(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return static_cast<T>(before - value); });
}
template <typename T>
T atomicMax(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return std::max(before, value); });
}
template <typename T>
T atomicMin(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return std::min(before, value); });
}
template <typename T>
T atomicAnd(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return before & value; });
}
template <typename T>
T atomicOr(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return before | value; });
}
template <typename T>
T atomicXor(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T before) { return before ^ value; });
}
template <typename T>
T atomicExch(T* p, std::type_identity_t<T> value) {
  return emulated::change_atomically(p, [=](T) { return value; });
}
// Who fails may be waiting for a lock: lets others run.
template <typename T>
T atomicCAS(T* p, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  const T before =
      emulated::change_atomically(p, [=](T found) { return found == compare ? value : found; });
  if (before != compare) etude::emulator::spin();
  return before;
}
// Counts 0, 1 .. limit, 0.
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return emulated::change_atomically(
      p, [=](unsigned before) { return before >= limit ? 0 : before + 1; });
}

inline unsigned load_acquire(const unsigned* flag) {
  etude::emulator::spin();
  return *flag;
}
inline unsigned add_release(unsigned* flag, unsigned value) { return atomicAdd(flag, value); }

}  // namespace etude::kernels::ETUDE_DEVICE
