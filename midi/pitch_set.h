#pragma once

// Which of the 128 MIDI pitches sound at once: one column of a roll, one chord.

#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace etude::midi {

struct PitchSet {
  uint64_t low = 0;   // pitches 0..63
  uint64_t high = 0;  // 64..127

  bool empty() const { return (low | high) == 0; }
  bool test(int pitch) const { return (pitch < 64 ? low >> pitch : high >> (pitch - 64)) & 1; }
  void set(int pitch) { (pitch < 64 ? low : high) |= uint64_t{1} << (pitch & 63); }
  int count() const { return std::popcount(low) + std::popcount(high); }

  // Transposed; what leaves 0..127 is lost. 0 <= by < 64.
  PitchSet up(int by) const {
    if (by == 0) return *this;
    return {low << by, high << by | low >> (64 - by)};
  }
  PitchSet down(int by) const {
    if (by == 0) return *this;
    return {low >> by | high << (64 - by), high >> by};
  }

  // Ascending.
  template <class Visit>
  void each(Visit visit) const {
    for (uint64_t rest = low; rest != 0; rest &= rest - 1) visit(std::countr_zero(rest));
    for (uint64_t rest = high; rest != 0; rest &= rest - 1) visit(64 + std::countr_zero(rest));
  }

  PitchSet& operator|=(PitchSet other) {
    low |= other.low;
    high |= other.high;
    return *this;
  }
  PitchSet& operator&=(PitchSet other) {
    low &= other.low;
    high &= other.high;
    return *this;
  }
  friend PitchSet operator|(PitchSet a, PitchSet b) { return a |= b; }
  friend PitchSet operator&(PitchSet a, PitchSet b) { return a &= b; }
  friend PitchSet operator-(PitchSet a, PitchSet b) { return {a.low & ~b.low, a.high & ~b.high}; }
  friend auto operator<=>(const PitchSet&, const PitchSet&) = default;
};

struct PitchSetHash {
  size_t operator()(PitchSet set) const {
    uint64_t h = set.low * 0x9E3779B97F4A7C15u ^ std::rotl(set.high * 0xC2B2AE3D27D4EB4Fu, 31);
    h ^= h >> 32;
    return h * 0xD6E8FEB86659FD93u;
  }
};

}  // namespace etude::midi
