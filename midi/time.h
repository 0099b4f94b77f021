#pragma once

// When: three units, none of which becomes another by accident. Division (score.h) says what a tick
// is of a quarter note, TempoMap (tempo.h) when it comes.

#include <compare>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace etude::midi {

// Of a Standard MIDI File, from the start of the track.
struct Ticks {
  int64_t count = 0;

  friend auto operator<=>(Ticks, Ticks) = default;
  Ticks& operator+=(Ticks other) { return count += other.count, *this; }
  friend Ticks operator+(Ticks a, Ticks b) { return {a.count + b.count}; }
  friend Ticks operator-(Ticks a, Ticks b) { return {a.count - b.count}; }
};

struct Seconds {
  double count = 0;

  friend auto operator<=>(Seconds, Seconds) = default;
  friend Seconds operator+(Seconds a, Seconds b) { return {a.count + b.count}; }
  friend Seconds operator-(Seconds a, Seconds b) { return {a.count - b.count}; }
};

// Quarter notes, exactly: a reduced fraction. Throws std::overflow_error where 64 bits do not hold
// one.
class Quarters {
 public:
  Quarters() = default;
  // `below` is not 0.
  Quarters(int64_t above, int64_t below) : Quarters(reduced(above, below)) {}

  int64_t above() const { return above_; }
  int64_t below() const { return below_; }  // 1 or more
  double value() const { return static_cast<double>(above_) / static_cast<double>(below_); }

  friend bool operator==(const Quarters&, const Quarters&) = default;
  friend std::strong_ordering operator<=>(Quarters a, Quarters b) {
    return Wide{a.above_} * b.below_ <=> Wide{b.above_} * a.below_;
  }
  friend Quarters operator+(Quarters a, Quarters b) {
    return reduced(Wide{a.above_} * b.below_ + Wide{b.above_} * a.below_,
                   Wide{a.below_} * b.below_);
  }
  friend Quarters operator-(Quarters a, Quarters b) { return a + Quarters{-b.above_, b.below_}; }
  friend Quarters operator*(Quarters a, Quarters b) {
    return reduced(Wide{a.above_} * b.above_, Wide{a.below_} * b.below_);
  }

 private:
  __extension__ using Wide = __int128;

  static Wide common_divisor(Wide a, Wide b) { return b == 0 ? a : common_divisor(b, a % b); }

  static Quarters reduced(Wide above, Wide below) {
    const Wide divisor = common_divisor(above, below);
    if (divisor != 0) above /= divisor, below /= divisor;
    if (below < 0) above = -above, below = -below;
    constexpr Wide most = std::numeric_limits<int64_t>::max();
    if (above > most || above < -most || below > most)
      throw std::overflow_error("a time too fine or too long to be held");
    Quarters result;
    result.above_ = static_cast<int64_t>(above);
    result.below_ = static_cast<int64_t>(below);
    return result;
  }

  int64_t above_ = 0, below_ = 1;
};

}  // namespace etude::midi
