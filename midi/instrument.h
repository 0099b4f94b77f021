#pragma once

// The notes of a Score, by pretty_midi's rules (golden/README.md of the reference; pretty_midi's
// _load_instruments): a note-off closes every open note of its channel and pitch that began on an
// earlier tick; one that began on the very tick stays open if others were closed, and is forgotten
// if none was; a note never closed does not exist.

#include <cstdint>
#include <memory>
#include <vector>

#include "midi/score.h"

namespace etude::midi {

struct Note {
  Ticks start, end;
  uint8_t pitch, velocity;
};

struct TimedValue {
  Ticks tick;
  int16_t value;   // 0..127; bends: -8192..8191
  uint8_t number;  // controller; 0 for bends
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
  // The latest note end, controller or pitch bend.
  Ticks end() const;
};

// Keyed by (program at the note-off, channel, track), in the order in which the first note of each
// was closed; empty when no note is. LimitError beyond kMaxTicks.
std::vector<Instrument> instruments(const Score& score);

// The notes, each held by the sustain pedal (control change 64, down from 64 on): where the pedal
// is down at its end, a note goes on to the pedal-up, or to the end of the instrument if there is
// none; the next strike of its pitch cuts it.
std::vector<Note> pedalled_notes(const Instrument& instrument);

// One finding each, with the first place and the number of them, for notes struck while they sound,
// notes never closed, and notes closed on the tick on which they began.
std::vector<Finding> doubtful_notes(const Score& score);

// "Piano", "Strings": General MIDI 1's family of a program (from 0), or "Drums" on channel 9.
const char* instrument_family(int program, int channel);

// The longest score that becomes notes: pretty_midi's limit too.
inline constexpr Ticks kMaxTicks = {10'000'000};

inline constexpr uint8_t kSustainPedal = 64;  // controller
inline constexpr int kPedalDown = 64;         // its least value

}  // namespace etude::midi
