#pragma once

// Music on a grid to MusicXML 4.0, score-partwise (W3C Community Group, w3.org/2021/06/musicxml40).
// The same music gives the same bytes: no date is written.
//
// * Bars as bars.h has them, staves and voices as voices.h, note values as note_values.h; divisions
//   are 48. The voices of the first staff are 1 to 4, those of the second 5 to 8, and so on. The
//   first voice of a staff has rests, the others have <forward> where they are silent, but for
//   rests within a triplet.
// * Every note is there: merged over its ties it has the pitch, the start and the length it had.
// * A note has its velocity as `dynamics`, in percent of 90 to two decimals, which is enough to
//   have it back.
// * Each tempo is <sound tempo> to six decimals (three above 100,000), which is exact above 8 a
//   minute, and a metronome mark rounded to hundredths. What is beyond the last bar is not written.
// * A key signature holds from the barline nearest to it on.
// * Pedal changes are <pedal> below the lowest staff.
// * Channel 10 is one staff of unpitched notes, each with the key that sounds as <midi-unpitched>.
// * MusicXML has octaves 0 to 9: a staff with pitches below 12 is written an octave higher, with
//   <transpose>; voices.h sees to it that it has none of the highest.

#include <cstdint>
#include <string>
#include <vector>

#include "midi/grid_score.h"

namespace etude::midi {

// LimitError beyond kMaxBars (bars.h), or where the text were longer than kMaxFileBytes (smf.h).
std::string write_musicxml(const GridScore& music);

}  // namespace etude::midi
