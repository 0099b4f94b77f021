#pragma once

// Where the bars of a piece are.

#include <vector>

#include "midi/grid_score.h"

namespace etude::midi {

struct Bar {
  Ticks start, end;
  Meter meter;
};

// The most bars that are written, of all parts together.
inline constexpr size_t kMaxBars = size_t{1} << 17;

// One at least, up to the end of the last note. A change of meter that is on no barline of the
// meter before it goes to the nearest sixteenth, and the bar before it is cut short there.
// LimitError beyond kMaxBars.
std::vector<Bar> bars_of(const GridScore& music);

}  // namespace etude::midi
