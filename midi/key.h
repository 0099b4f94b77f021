#pragma once

// Keys: which one music is in, and how its pitches are spelled there.

#include <array>
#include <string>

#include "midi/grid_score.h"

namespace etude::midi {

// By the method of Krumhansl and Schmuckler (C. Krumhansl, Cognitive Foundations of Musical Pitch,
// 1990, ch. 4): the one of the 24 keys whose profile (C. Krumhansl and E. Kessler, Psychological
// Review 89, 1982) correlates best with how long each pitch class (0: C) sounds. C major where all
// sound alike.
Key estimate_key(const std::array<double, 12>& durations);

// "E flat major".
std::string name_of(Key key);

struct Spelling {
  char step;   // 'A' .. 'G'
  int alter;   // semitones: -1 is a flat
  int octave;  // 4 begins with middle C; pitches below 12 are in octave -1, B sharp in -2
};

// On the line of fifths, twelve places from three below the key's tonic on (minor: three below the
// relative major's, less one), so that a raised fourth or leading tone is a sharp and a lowered
// third or seventh a flat.
Spelling spell(int pitch, Key key);

// Which notes of a bar, in the order of their starts, need an accidental before them: those that
// the key, or the last accidental on their line, does not already alter so.
class Accidentals {
 public:
  explicit Accidentals(Key key);
  bool needed(const Spelling& note);

 private:
  static constexpr int kOctaves = 13;  // from -2 on
  std::array<std::array<int, kOctaves>, 7> alters_;
};

}  // namespace etude::midi
