#pragma once

// The notes of a part on its staves, and those of a staff in voices.

#include <vector>

#include "midi/grid_score.h"

namespace etude::midi {

// What notation programs take on one staff.
inline constexpr size_t kMaxVoices = 4;

// What ten octaves, 0 to 9, hold as it sounds: no pitch below the first, and none above the second
// (as B it would be C flat of the eleventh) where all is written an octave higher.
inline constexpr int kLowestWritten = 12, kHighestRaised = 118;

struct Staff {
  bool bass_clef = false;
  // By start. Notes of one voice that sound together begin and end together; but in the last of
  // kMaxVoices voices all that the others had no room for, overlapping as it may.
  std::vector<std::vector<Note>> voices;
};

// One staff, or two for a part with two hands or two_staves, the upper first. Where the hands are
// not known, each chord is divided halfway between what the hands played last (after four quarters
// of silence: at middle C), but never outside G3 to E4, so that a line which crosses middle C stays
// on its staff. A voice takes the chords, the highest first, for which it is free; the first voice
// is asked first.
// A hand with pitches both below kLowestWritten and above kHighestRaised is divided too, but for
// drums: there may be four staves.
std::vector<Staff> staves_of(const GridPart& part);

}  // namespace etude::midi
