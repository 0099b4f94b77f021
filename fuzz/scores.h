#pragma once

// What holds for every score, wherever it was read from.

#include "midi/score.h"

namespace etude::fuzz {

// Ticks never decrease; notes, rolls and times come out without a fault; written as a MIDI file
// and read again it has the same events, and written once more the same bytes.
void check_score(const midi::Score& score);

}  // namespace etude::fuzz
