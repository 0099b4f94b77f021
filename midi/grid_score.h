#pragma once

// Music on a grid: what notation, unlike a performance, is made of. quantise.h makes it of a Score,
// musicxml_write.h writes it as notation.
//
// All positions are ticks of 1/48 of a quarter note, the least common multiple of sixty-fourths and
// of triplets of thirty-seconds; a grid of N columns a quarter note, N one of kAutomaticGrids
// (quantise.h), has a column every 48 / N of them.

#include <cstdint>
#include <string>
#include <vector>

#include "midi/instrument.h"
#include "midi/score.h"

namespace etude::midi {

inline constexpr int kGridTicks = 48;  // a quarter note

struct TempoChange {
  Ticks tick;
  int tempo;  // microseconds a quarter note, above 0
};

struct Meter {
  int beats = 4, beat_type = 4;  // 6/8: 6 and 8; beat_type is a power of two, at most 64

  Ticks bar() const { return {int64_t{beats} * 4 * kGridTicks / beat_type}; }
  friend bool operator==(const Meter&, const Meter&) = default;
};

struct MeterChange {
  Ticks tick;
  Meter meter;
};

struct Key {
  int fifths = 0;  // sharps above 0, flats below; -7 .. 7
  bool minor = false;

  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyChange {
  Ticks tick;
  Key key;
};

struct PedalChange {
  Ticks tick;
  bool down;
};

struct GridPart {
  std::string name;        // UTF-8
  int program = 0;         // General MIDI, from 0
  int channel = 0;         // 9: drums
  bool two_staves = true;  // of a keyboard or a harp
  // All notes, or those of the upper and of the lower hand. By start, then pitch, the highest
  // first; in one hand no pitch sounds twice at once.
  std::vector<std::vector<Note>> hands;
  std::vector<PedalChange> pedal;  // down and up by turns; a pedal changed within one tick is up
                                   // and down on it
  std::vector<KeyChange> keys;     // the first on tick 0
};

struct GridScore {
  std::string name;   // the file, for messages
  std::string title;  // UTF-8; may be empty
  int grid = 4;       // columns a quarter note
  // By tick, one a tick, each different from the one before.
  std::vector<TempoChange> tempi;
  std::vector<MeterChange> meters;  // the first on tick 0
  std::vector<GridPart> parts;
  // What the grid cost.
  Quarters moved;      // the farthest that an onset or an end was moved
  int64_t merged = 0;  // notes that sounded while their pitch was struck again

  Ticks end() const;  // of the last note
};

// Format 1, 48 ticks a quarter note: track 0 with title, tempi and time signatures, then a track
// for each hand of each part.
Score to_score(const GridScore& music);

}  // namespace etude::midi
