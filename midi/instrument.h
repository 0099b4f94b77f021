#pragma once

// The notes of a Score, by pretty_midi's rules (golden/README.md of the reference; pretty_midi's
// _load_instruments): a note-off closes every open note of its channel and pitch that began on an
// earlier tick; one that began on the very tick stays open if others were closed, and is forgotten
// if none was; a note never closed does not exist. Times are by the tempo events of track 0 alone,
// in format 2 as well.

#include <cstdint>
#include <memory>
#include <vector>

#include "midi/score.h"

namespace etude::midi {

struct Note {
  double start, end;  // seconds
  uint8_t pitch, velocity;
};

struct TimedValue {
  double time;  // seconds
  int number;   // controller; 0 for bends
  int value;    // 0..127; bends: -8192..8191
};

struct Controllers {
  std::vector<TimedValue> controls, bends;  // in file order
};

struct Instrument {
  int program, channel, track;
  std::vector<Note> notes;  // in the order in which they are closed
  // Instruments of one channel and track share those that came before the first of them, and the
  // later ones too: pretty_midi hands the same list to each.
  std::shared_ptr<Controllers> controllers;

  bool is_drum() const { return channel == 9; }
  // Seconds: the latest note end, controller or pitch bend.
  double end_time() const;
};

// Keyed by (program at the note-off, channel, track), in the order in which the first note of each
// was closed; empty when no note is. LimitError beyond kMaxTicks.
std::vector<Instrument> instruments(const Score& score);

// The longest score that becomes notes: pretty_midi's limit too.
inline constexpr int64_t kMaxTicks = 10'000'000;

}  // namespace etude::midi
