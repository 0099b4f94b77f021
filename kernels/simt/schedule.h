#pragma once

// The order of threads.

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/simt/scheduler.h"

namespace etude::emulator {

// splitmix64: a stream of numbers from any seed.
class Random {
 public:
  explicit Random(uint64_t seed = 0) : state_(seed) {}
  uint32_t next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return static_cast<uint32_t>(x >> 32);
  }
  size_t below(size_t n) { return static_cast<size_t>(static_cast<uint64_t>(next()) * n >> 32); }

 private:
  uint64_t state_;
};

// Threads that could go on, each once at most. First in, first out, unless shuffled.
class ReadyList {
 public:
  void reset(const Schedule& schedule, uint64_t seed, size_t most) {
    schedule_ = schedule;
    random_ = Random(seed);
    ring_.resize(std::bit_ceil(most));
    head_ = count_ = 0;
  }
  bool empty() const { return count_ == 0; }
  void push(Thread* thread) { at(count_++) = thread; }
  void begin(Thread* threads, size_t count) {
    if (schedule_.order == Schedule::shuffled)
      for (size_t i = 0; i < count; ++i) threads[i].eagerness = random_.next();
    push(threads, count);
  }

  // threads[0 .. count), those whose bit is set in `mask` of every 32.
  void push(Thread* threads, size_t count, unsigned mask = 0xffffffffu) {
    for (size_t i = 0; i < count; ++i) {
      const size_t k = schedule_.order == Schedule::descending ? count - 1 - i : i;
      if (mask >> k % 32 & 1) push(&threads[k]);
    }
  }

  // Shuffled: the most eager one of a few. Some threads are late again and again, which shows more
  // than an even draw would, but every one has its turn.
  Thread* pop() {
    if (schedule_.order == Schedule::shuffled) {
      size_t best = random_.below(count_);
      for (uint64_t i = 0; i < schedule_.seed % 4; ++i) {
        const size_t other = random_.below(count_);
        if (at(other)->eagerness > at(best)->eagerness) best = other;
      }
      std::swap(at(0), at(best));
    }
    Thread* thread = at(0);
    ++head_;
    --count_;
    return thread;
  }

  bool copy_at_once() {
    return schedule_.order == Schedule::ascending ||
           (schedule_.order == Schedule::shuffled && random_.next() % 2);
  }

 private:
  Thread*& at(size_t i) { return ring_[(head_ + i) & (ring_.size() - 1)]; }

  Schedule schedule_;
  Random random_;
  std::vector<Thread*> ring_;
  size_t head_ = 0, count_ = 0;
};

}  // namespace etude::emulator
