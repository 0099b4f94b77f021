#pragma once

// One part, measure by measure, as it is written.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "midi/musicxml_model.h"
#include "midi/musicxml_xml.h"

namespace etude::midi::musicxml {

inline constexpr int kMaxStaves = 64;  // of a part

struct Context {
  const std::string& name;  // the file
  Notices& found;
  int64_t units;    // a quarter note
  bool cue_sounds;  // <cue/> says "drawn small"
};

// Velocity of a dynamics mark; `after`: of what follows, 0 if the mark holds on itself, -1 if what
// held before holds again.
struct Dynamics {
  int velocity, after;
};
// Of the first child that is known, nothing if none is.
std::optional<Dynamics> dynamics_of(const Element& dynamics);
// A percentage of 90, kept within 1..127.
int velocity_of_percent(double percent);

// Microseconds a quarter note, within what MIDI can say; nothing for what is no tempo.
std::optional<int> tempo_of_bpm(double quarters_per_minute);
std::optional<int> tempo_of_metronome(const Element& metronome);

// Notes that are struck together, or a rest: what grace notes lean on.
struct Chord {
  int64_t start = 0, duration = 0;
  int voice = 0, dots = 0;
  bool slash = false, steals_previous = false;  // of grace notes
  bool tied_back = false;
  std::vector<size_t> notes = {};  // indices in Measure::notes; none: a rest
  int line = 0;
  std::optional<size_t> previous = {};  // of its voice; index among the measure's chords
};

struct GraceGroup {
  std::vector<Chord> graces;
  size_t chord;  // index among the measure's chords
  bool before;   // they come before it
};

class PartReader {
 public:
  PartReader(const Context& context, Part& part) : context_(context), part_(part) {}

  // Adds to `signs` what the measure says there.
  Measure read(const Element& measure, Signs& signs);

 private:
  void attributes(const Element& element);
  void time_signature(const Element& time);
  void key_signature(const Element& key);
  void transposition(const Element& transpose);
  void barline(const Element& element);
  void repeat(const Element& element, bool at_middle);
  void ending(const Element& element);
  void direction(const Element& element);
  // `has_mark`: its dynamics are those of a mark beside it, and told already.
  void sound(const Element& element, int64_t at, bool has_mark);
  void play_sign(const Element& element);
  void program_changes(const Element& element, int64_t at);
  void note(const Element& element);
  void grace(const Element& element, const Element& sign, const Note& made, bool sounds);
  void chord(const Element& element, Note made, bool sounds);
  void notation_dynamics(const Element& element, int64_t at);
  std::optional<int> pitch_of(const Element& element, int staff, int instrument);
  int alter_of(const Element& pitch);
  int staff_of(const Element& element);
  int voice_of(const Element& element);
  int instrument_of(const Element& element);
  static void ties_of(const Element& element, Note& note);
  void dynamics(const Dynamics& mark, int64_t at);

  void apply_dynamics();
  void apply_graces();
  void lean(const GraceGroup& group);
  void silence(const Chord& grace);
  Moment thirty_second(const Chord& chord, int64_t start, size_t k, size_t n) const;
  void take_from_next(const Chord& chord, const std::vector<Chord>& graces);
  void take_from_previous(const Chord& chord, const std::vector<Chord>& graces);
  void set_span(const Chord& grace, const Moment& start, const Moment& end);

  int64_t duration_of(const Element& element);
  int64_t length(const Element& element);  // of its <duration>
  void advance(int64_t by);

  struct Loudness {
    int64_t at;
    int velocity;
    bool momentary;
  };
  const Context& context_;
  Part& part_;

  // What holds on from measure to measure.
  std::optional<Decimal> divisions_;
  int64_t time_signature_ = 0;
  std::map<int, int> transpositions_;  // by staff; -1: all
  std::map<std::string, int, std::less<>> voices_;
  int velocity_ = 80;
  bool microtone_told_ = false;

  // The measure being read.
  Measure measure_;
  Signs* signs_ = nullptr;
  int64_t at_ = 0;
  bool last_was_grace_ = false;
  std::vector<Chord> chords_;
  std::map<int, size_t> last_chord_;           // index in chords_, by voice
  std::map<int, std::vector<Chord>> pending_;  // grace notes whose note is yet to come, by voice
  std::vector<GraceGroup> groups_;
  std::vector<Loudness> loudness_;
};

}  // namespace etude::midi::musicxml
