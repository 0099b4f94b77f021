#pragma once

// The notes of one voice in one bar as written symbols: note values, dots, triplets, ties, rests.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "midi/bars.h"

namespace etude::midi {

struct Symbol {
  Ticks start, length;    // from the start of the piece
  std::string_view type;  // "quarter"; empty: a rest of the whole bar
  int dots = 0;           // 0 or 1
  // Three in the time of two, of `triplet_of` each ("eighth"); empty: no triplet.
  std::string_view triplet_of = {};
  bool triplet_begins = false, triplet_ends = false;

  struct Head {
    const Note* note;
    bool tied_from, tied_to;  // what came before and what comes after
  };
  std::vector<Head> heads = {};  // a chord; none: a rest
};

// `notes`: those of the voice that sound in the bar, by start. The symbols fill the bar. Wherever
// the notes that sound change a symbol ends, and what is no single value there is several, tied:
// * A quarter of the bar (a half or a quarter of it where nothing crosses the middle) in which
//   something begins or ends off the sixty-fourths is a triplet.
// * A value begins at a multiple of half of it, a dotted one at a multiple of a third of it, so
//   that the beats stay visible; a rest at a multiple of itself.
std::vector<Symbol> symbols_of(const Bar& bar, std::span<const Note* const> notes);

}  // namespace etude::midi
