#pragma once

// Piano rolls as pretty_midi makes them (Instrument.get_piano_roll of 0.2.10 and 0.2.11; the golden
// README of the reference gives the arithmetic step by step), of the first instrument of a score.
//
// Where pretty_midi keeps sums of velocities, only "above 0" is kept here, one bit a pitch: pedal
// and pitch bends act on the bits as they do on the signs of the sums. 16 bytes a column and plane.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "midi/pitch_set.h"
#include "midi/score.h"

namespace etude::midi {

// The sustain pedal, control change 64. compat: as pretty_midi since 0.2.9: from a pedal-down to
// the next pedal-up what sounds goes on sounding, a pedal never lifted does nothing. extend: as on
// a piano: each note by itself goes on to the pedal-up or to the next strike of its key
// (instrument.h, pedalled_notes). off: as 0.2.8.
enum class Pedal { compat, extend, off };

inline constexpr std::string_view kPedalNames[] = {"compat", "extend", "off"};
inline std::string_view name_of(Pedal pedal) { return kPedalNames[static_cast<size_t>(pedal)]; }
// Throws std::invalid_argument.
Pedal pedal_named(std::string_view name);

struct RollOptions {
  double fs = 5;  // columns a second; finite, above 0
  Pedal pedal = Pedal::compat;
};

struct PianoRoll {
  double fs = 0;
  std::vector<PitchSet> played;       // by column: what sounds
  std::vector<PitchSet> articulated;  // by column, a part of played: what is struck there

  int64_t columns() const { return static_cast<int64_t>(played.size()); }
};

// The widest roll: 58 hours at 5 columns a second, 32 MiB.
inline constexpr int64_t kMaxColumns = int64_t{1} << 20;

// Throws Error when no note of the score is ever closed (pretty_midi then has no instrument),
// LimitError beyond kMaxTicks or kMaxColumns. A drum kit (channel 10) as first instrument gives a
// silent roll, as in pretty_midi.
PianoRoll make_piano_roll(const Score& score, const RollOptions& options);

// The form of the goldens: "# fs=F columns=C", then "t: p,p,p" for each column that sounds.
std::string roll_text(const PianoRoll& roll);

}  // namespace etude::midi
