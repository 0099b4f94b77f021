#pragma once

// MusicXML read back without the reader that is being built beside it, and checked on the way: what
// a notation program relies on holds in every bar.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace etude::tests {

// 48ths of a quarter from the start of the piece.
struct ReadNote {
  int part, staff;
  int64_t start, end;
  int pitch, velocity;

  friend auto operator<=>(const ReadNote&, const ReadNote&) = default;
};

struct ReadNotation {
  std::vector<ReadNote> notes;  // ties merged, sorted
  std::vector<std::vector<std::string>>
      symbols;  // by voice of the first part, as "eighth." "r:half" "-"
  std::vector<std::pair<int64_t, double>> tempi;  // <sound tempo>
  std::vector<std::pair<int64_t, std::string>> pedal;
  std::vector<int64_t> bars;        // where they begin; the end last
  int accidentals = 0, voices = 0;  // written signs; the largest voice number
};

// Whatever a notation program would stumble over is a failure of the test.
ReadNotation read_notation(const std::string& text);

}  // namespace etude::tests
