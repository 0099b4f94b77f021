#pragma once

// A Score's notes laid on a grid, its instruments gathered into parts.
//
// * Onsets and ends go to the nearest column, later ones of two equally near; no note is shorter
//   than a column. Without a grid given: the first of kAutomaticGrids on which every onset and end
//   lies already; else, where nine of ten onsets lie near a column of one of kFallbackGrids, as in
//   a score with grace notes or shortened ends, the first that has hardly fewer of them than the
//   best; else sixteenths, as for a performance.
// * SMPTE time is laid on quarters by seconds, at 120 a minute.
// * A pitch struck twice on one column in one hand is one note, as long and as loud as the larger;
//   one struck while it sounds ends the earlier note, and lasts as long as the longer of both.
// * Instruments of one channel and program are one part. A part of two tracks has a hand in each,
//   the upper being the one with the higher mean pitch; so have two tracks with a piano each
//   (programs 0 to 7) and nothing beside them.
// * The tracks of a file of format 2, which are pieces of their own, follow one another: each
//   begins on the first barline at or after the end of the one before, at 120 a minute and in 4/4
//   if it says nothing else. They are no hands.
// * Key signatures are those of a part's own tracks, else those of all tracks, else one is
//   estimated (key.h). Tempi and time signatures are those of all tracks; what cannot be (tempo 0,
//   0 beats, beats of less than a sixty-fourth) is passed over.
// * Pedal::compat keeps the pedal beside the notes, extend makes notes longer by it, off forgets
//   it.
// * Text that is no UTF-8 is read as ISO 8859-1.

#include <array>
#include <string>

#include "midi/grid_score.h"
#include "midi/piano_roll.h"

namespace etude::midi {

// Columns a quarter note.
inline constexpr std::array kAutomaticGrids = {1, 2, 4, 8, 3, 6, 12, 16, 24, 48};
inline constexpr std::array kFallbackGrids = {4, 8, 12, 24};

struct GridOptions {
  int grid = 0;  // one of the above; 0: automatic
  Pedal pedal = Pedal::compat;
  std::string title = {};  // where not empty, in place of the score's own
};

// LimitError beyond kMaxTicks; std::invalid_argument for another grid.
GridScore quantise(const Score& score, const GridOptions& options = {});

}  // namespace etude::midi
