#pragma once

// Ticks to seconds, in double and in pretty_midi's order of operations, so that a time that lies
// on a column's edge falls on the same side: scale = 60 / ((6e7 / tempo) * ticks_per_quarter), and
// time = start + scale * (tick - start_tick), start being the time of the last change of tempo.
// 120 quarters a minute before the first tempo event. With SMPTE division tempo has no effect.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "midi/score.h"

namespace etude::midi {

class TempoMap {
 public:
  // The tempo events of one track. Track 0 is what pretty_midi obeys, and nothing else.
  static TempoMap of_track(const Score& score, size_t track);
  // Those of all tracks, in file order on one tick: players, mido.
  static TempoMap of_all_tracks(const Score& score);

  Seconds seconds(Ticks tick) const;

 private:
  struct Change {
    Ticks tick;
    Seconds time;  // of that tick
    double scale;  // seconds a tick from there on
  };

  explicit TempoMap(const Division& division);
  void add(Ticks tick, int tempo);

  int ticks_per_quarter_;
  std::vector<Change> changes_;  // never empty, ticks never decrease
};

// When a score ends, as a player has it: by the tempo events of all tracks; in format 2, whose
// tracks are pieces of their own, each by its own.
struct EndTimes {
  Seconds last_event, last_note_off;  // End of Track is an event
  Seconds last_event_by_first_track;  // by the tempo events of track 0 alone, as in rolls
};
EndTimes end_times(const Score& score);

}  // namespace etude::midi
