#pragma once

// Tokens to music and back: a generated piece as a Score, and a piece as the primer of a
// generation.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "midi/piano_roll.h"
#include "midi/score.h"
#include "midi/tokens.h"

namespace etude::midi {

struct ComposeOptions {
  double fs = 5;  // columns a second, 0.06 .. 10000
  int velocity = 100;
  int program = 0;         // General MIDI, from 0
  std::string title = {};  // a track name, if not empty
};

// A pitch in neighbouring columns is one long note; where `articulated` (empty, or as long as
// `columns`) has the pitch, it is struck again. Column k begins at k / fs seconds, to a few parts
// in a million: a column is a power of two of a quarter note, and tempi are whole microseconds,
// rounded up, so that make_piano_roll at the same fs gives the same columns back. Silent columns at
// the end are kept by a pedal-up at the piece's end. Throws LimitError beyond kMaxTicks.
Score compose(std::span<const PitchSet> columns, const ComposeOptions& options,
              std::span<const PitchSet> articulated = {});

// Of token indices; 0 has no token and is refused with std::out_of_range.
std::vector<PitchSet> columns_of(const Vocabulary& vocabulary, std::span<const int32_t> tokens);

struct Primer {
  std::vector<int32_t> tokens;    // kWindow of them, silences first if the piece is shorter
  std::vector<PitchSet> columns;  // what is played there: the last columns, at most kWindow
  int64_t unknown = 0;            // how many of them the vocabulary lacks: class 0
};

// The last window of a piece, up to its last sounding column. Throws Error if none sounds.
Primer make_primer(const Score& score, const RollOptions& options, const Vocabulary& vocabulary);

}  // namespace etude::midi
