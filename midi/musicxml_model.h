#pragma once

// What the parts of the MusicXML reader hand to one another: a piece with its measures in written
// order, before repeats are unfolded.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "midi/score.h"
#include "midi/smf.h"

namespace etude::midi::musicxml {

// A position or a length in units of 1 / Piece::units of a quarter note. Grace notes alone need the
// fraction of a unit: num / den, den > 0.
struct Moment {
  int64_t unit = 0;
  int64_t num = 0, den = 1;
};

// What goes to Score::found, with its line, counted from 1.
class Notices {
 public:
  // `name` is the file's; both must outlive this.
  Notices(std::vector<Finding>& list, const std::string& name, Reading reading)
      : list_(list), name_(name), reading_(reading) {}
  // Throws Error with the line where reading is strict.
  void add(int line, const std::string& what);

 private:
  std::vector<Finding>& list_;
  const std::string& name_;
  Reading reading_;
};

struct Note {
  Moment start, end;                         // from the measure's start
  int pitch = 0;                             // 0..127
  int velocity = 0;                          // 1..127
  int voice = 0, staff = 0, instrument = 0;  // staff from 0; index in Part::instruments
  bool tie_start = false, tie_stop = false;
  int line = 0;
};

enum class MarkKind { tempo, time, key, program };

// Something that holds from its position on.
struct Mark {
  MarkKind kind;
  int64_t at = 0;  // units from the measure's start
  int staff = -1;  // of a key; -1: all of the part
  // tempo: microseconds a quarter. time: numerator, log2 of the denominator. key: fifths, minor.
  // program: index in Part::instruments, program.
  int a = 0, b = 0;
};

struct Measure {
  size_t index = 0;            // in Piece::signs
  std::vector<Note> notes;     // by start
  std::vector<Mark> marks;     // by position
  int64_t length = 0;          // the furthest position in it
  int64_t time_signature = 0;  // what the time signature in force says; 0: none
};

struct Instrument {
  std::string id;
  int channel = -1;    // 0..15; -1: none given
  int program = -1;    // 0..127; -1: none given
  int unpitched = -1;  // 0..127: the pitch of <unpitched>; -1: none given
};

struct Part {
  std::string id, name;
  std::vector<Instrument> instruments;  // at least one
  int staves = 1;
  bool percussion = false;
  // By index. What a part lacks is not there: room for all measures of all parts could be far more
  // than a file's size.
  std::vector<Measure> measures;
};

// What a measure does to the order in which measures are played; of all parts together. Marks act
// at the measure's end, but for segno, coda and the forward repeat, which mark its start.
struct Signs {
  bool forward = false;
  int backward = 0;           // how often in all it is played; 0: no backward repeat
  std::vector<int> ending;    // numbers of an ending that begins here, ascending
  bool ending_stops = false;  // (stop or discontinue)
  std::optional<std::string> segno, coda, tocoda, dalsegno;  // names
  bool dacapo = false, fine = false;
  int line = 0;
};

inline constexpr int kMaxPasses = 1000;  // of a repeat, and the largest number of an ending

struct Piece {
  int64_t units = 1;  // a quarter note; the lcm of all divisions
  std::vector<Part> parts;
  std::vector<Signs> signs;      // by measure
  std::vector<int64_t> lengths;  // by measure, in units
};

// Bytes in any encoding that the reader knows, as UTF-8 without byte order mark, DOCTYPE, comments
// and processing instructions, lines kept.
std::string utf8_text(std::span<const uint8_t> bytes, const std::string& name, Notices& found);

// Throws Error naming the line.
Piece read_piece(const std::string& text, const std::string& name, Notices& found);

// Indices of measures in the order in which they sound. A section between repeats is played as
// often as its backward repeat says (twice), or as its endings' numbers ask for; an ending when its
// numbers have the pass. D.C. and D.S. are obeyed once each, after the repeats of their measure;
// from then on repeats are not taken, the last endings are played, and To Coda and Fine act.
// LimitError beyond `limit` measures.
std::vector<size_t> play_order(const std::vector<Signs>& signs, size_t limit,
                               const std::string& name, Notices& found);

// Unfolds, ties, and makes the tracks of `score` (whose name is set).
void write_events(const Piece& piece, const std::vector<size_t>& order, Score& score,
                  Notices& found);

}  // namespace etude::midi::musicxml
