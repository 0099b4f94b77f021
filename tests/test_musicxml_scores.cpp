// Real scores beside their MIDI: every note of both is the same, or differs for a reason that is
// evaluated here from the two files.
//
// The MIDI was exported by MuseScore, which plays what a reader of the notation does not write out:
// ornaments and arpeggios, grace notes at lengths of its own, ties that the file only half has.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <tinyxml2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "midi/files.h"
#include "midi/musicxml.h"
#include "midi/musicxml_model.h"
#include "midi/smf.h"
#include "tests/shared_data.h"

using namespace etude;
using Element = tinyxml2::XMLElement;

namespace {

constexpr double kTick = 1.0 / 480;  // of the MIDI files
constexpr double kHalfTick = kTick / 2 + 1e-9;

// Quarter notes from the start.
struct Sound {
  double onset, end;
  int pitch;
};

std::vector<Sound> sounds_of(const midi::Score& score) {
  std::vector<Sound> sounds;
  const double quarter = score.division.ticks_per_quarter;
  for (const midi::Track& track : score.tracks) {
    std::map<int, std::vector<size_t>> open;  // by channel and pitch, the oldest first
    for (const midi::Event& event : track.events) {
      auto& sounding = open[event.channel * 128 + event.a];
      const double at = static_cast<double>(event.tick) / quarter;
      if (event.is_note_on()) {
        sounding.push_back(sounds.size());
        sounds.push_back({at, -1, event.a});
      } else if (event.is_note_off() && !sounding.empty()) {
        sounds[sounding.front()].end = at;
        sounding.erase(sounding.begin());
      }
    }
  }
  std::ranges::sort(sounds, [](const Sound& x, const Sound& y) {
    return std::pair(x.onset, x.pitch) < std::pair(y.onset, y.pitch);
  });
  for (const Sound& sound : sounds) REQUIRE(sound.end >= sound.onset);
  return sounds;
}

// One <note> with a pitch, each time that it is played.
struct Written {
  double onset, end;  // as the durations say; a grace note's: where it stands
  double notated;     // the onset as the types of the notes before it say, which are not rounded
  int pitch, chord;   // chords are numbered through
  std::string voice, staff;
  bool grace, tie_start, tie_stop, hidden, arpeggio, ornament, articulated;
  bool octave_shift;  // one begins, ends or holds in its measure
  bool mended;        // its measure's length was taken from the time signature
};

double number_in(const Element& element, const char* child) {
  const Element* found = element.FirstChildElement(child);
  return found ? found->DoubleText() : 0;
}

bool holds(const Element& element, std::initializer_list<const char*> names) {
  for (const Element* child = element.FirstChildElement(); child;
       child = child->NextSiblingElement()) {
    for (const char* name : names) {
      if (std::string(name) == child->Name()) return true;
    }
    if (holds(*child, names)) return true;
  }
  return false;
}

std::string text(const Element& element, const char* child) {
  const Element* found = element.FirstChildElement(child);
  return found && found->GetText() ? found->GetText() : "";
}

// Quarters of a note's type, dots and tuplet; 0 where it has no type.
double notated_length(const Element& note) {
  const std::map<std::string, double> types = {
      {"whole", 4},    {"half", 2},        {"quarter", 1},      {"eighth", 0.5},    {"16th", 0.25},
      {"32nd", 0.125}, {"64th", 1.0 / 16}, {"128th", 1.0 / 32}, {"256th", 1.0 / 64}};
  const auto type = types.find(text(note, "type"));
  if (type == types.end()) return 0;
  double length = type->second, dot = length;
  for (const Element* d = note.FirstChildElement("dot"); d; d = d->NextSiblingElement("dot"))
    length += dot /= 2;
  if (const Element* tuplet = note.FirstChildElement("time-modification"))
    length *= number_in(*tuplet, "normal-notes") / number_in(*tuplet, "actual-notes");
  return length;
}

// Walks the measures as they are written; nothing of the reader's but the text and the lengths.
class Walker {
 public:
  std::vector<Written> notes;

  void measure(const Element& measure) {
    at_ = notated_ = 0;
    notes.clear();
    for (const Element* child = measure.FirstChildElement(); child;
         child = child->NextSiblingElement()) {
      const std::string name = child->Name();
      if (name == "attributes" && child->FirstChildElement("divisions"))
        divisions_ = number_in(*child, "divisions");
      if (name == "backup")
        notated_ = at_ = std::max(0.0, at_ - number_in(*child, "duration") / divisions_);
      if (name == "forward") forward(number_in(*child, "duration") / divisions_);
      if (name == "note") note(*child);
    }
  }

 private:
  // Forwards below a 128th note make up for rounding, and are not notated.
  void forward(double by) {
    at_ += by;
    if (by >= 1.0 / 32) notated_ += by;
  }

  void note(const Element& element) {
    const bool grace = element.FirstChildElement("grace");
    const bool joins = element.FirstChildElement("chord");
    const double duration = grace ? 0 : number_in(element, "duration") / divisions_;
    if (!joins) {
      chord_at_ = at_;
      chord_notated_ = notated_;
      ++chord_;
      at_ += duration;
      const double notated = notated_length(element);
      // What is far from its type is no rounding: a rest of a whole measure, an exporter's filler.
      notated_ += grace ? 0 : std::abs(notated - duration) < 1.0 / divisions_ ? notated : duration;
    }
    if (const Element* pitch = element.FirstChildElement("pitch"))
      notes.push_back(written(element, *pitch, grace, duration));
  }

  Written written(const Element& element, const Element& pitch, bool grace, double duration) const {
    const int semitones = static_cast<int>(std::string("C D EF G A B").find(text(pitch, "step")));
    Written made{};
    made.onset = chord_at_;
    made.end = chord_at_ + duration;
    made.notated = chord_notated_;
    made.pitch = semitones + static_cast<int>(number_in(pitch, "alter")) +
                 12 * (static_cast<int>(number_in(pitch, "octave")) + 1);
    made.chord = chord_;
    made.voice = text(element, "voice");
    made.staff = text(element, "staff");
    made.grace = grace;
    for (const Element* tie = element.FirstChildElement("tie"); tie;
         tie = tie->NextSiblingElement("tie"))
      (std::string(tie->Attribute("type")) == "start" ? made.tie_start : made.tie_stop) = true;
    made.hidden = element.Attribute("print-object", "no");
    made.arpeggio = holds(element, {"arpeggiate"});
    made.ornament = holds(element, {"ornaments"});
    made.articulated = holds(element, {"articulations"});
    return made;
  }

  double divisions_ = 1, at_ = 0, notated_ = 0, chord_at_ = 0, chord_notated_ = 0;
  int chord_ = 0;
};

// A score and its MIDI, on the MIDI's time: the lengths of measures are those of its time
// signatures.
struct Piece {
  std::vector<Sound> score, midi;  // what is read; what is not yet explained stays in
  std::vector<Sound> all_score, all_midi;
  std::vector<Written> written;
  int moved_measures = 0;  // measures that are longer in the score than in the MIDI
};

double measure_length(const midi::Score& file, int64_t tick) {
  double length = 4;
  for (const midi::Event& event : file.tracks[0].events) {
    if (event.tick > tick) break;
    if (event.is_meta(0x58)) length = 4.0 * file.bytes(event)[0] / (1 << file.bytes(event)[1]);
  }
  return length;
}

// Grace notes and ornaments belong to chords: what holds for one of its notes holds for all.
void share_in_chords(std::vector<Written>& notes) {
  std::map<int, std::array<bool, 2>> chords;
  for (const Written& note : notes) {
    chords[note.chord][0] |= note.ornament;
    chords[note.chord][1] |= note.articulated;
  }
  for (Written& note : notes) {
    note.ornament = chords[note.chord][0];
    note.articulated = chords[note.chord][1];
  }
}

// Octave shifts from their start to their stop, by measure.
std::vector<bool> octave_shifts(const std::vector<const Element*>& measures) {
  std::vector<bool> shifted;
  std::set<std::string> open;
  for (const Element* measure : measures) {
    bool here = !open.empty();
    for (const Element* d = measure->FirstChildElement("direction"); d;
         d = d->NextSiblingElement("direction")) {
      const Element* type = d->FirstChildElement("direction-type");
      const Element* shift = type ? type->FirstChildElement("octave-shift") : nullptr;
      if (!shift) continue;
      here = true;
      const std::string number = shift->Attribute("number") ? shift->Attribute("number") : "1";
      if (shift->Attribute("type", "stop")) {
        open.erase(number);
      } else {
        open.insert(number);
      }
    }
    shifted.push_back(here);
  }
  return shifted;
}

void read_written(const std::string& name, const midi::Score& file, Piece& made) {
  std::vector<midi::Finding> list;
  midi::musicxml::Findings findings(list);
  const auto bytes = midi::read_file(name, midi::kMaxFileBytes);
  const std::string xml = midi::musicxml::utf8_text(bytes, name, findings);
  const auto piece = midi::musicxml::read_piece(xml, name, findings);
  const auto order = midi::musicxml::play_order(piece.signs, midi::kMaxEvents, name, findings);

  tinyxml2::XMLDocument document;
  REQUIRE(document.Parse(xml.data(), xml.size()) == tinyxml2::XML_SUCCESS);
  std::vector<const Element*> measures;
  for (const Element* measure =
           document.RootElement()->FirstChildElement("part")->FirstChildElement();
       measure; measure = measure->NextSiblingElement())
    measures.push_back(measure);
  REQUIRE(measures.size() == piece.lengths.size());
  const auto shifted = octave_shifts(measures);
  Walker walker;
  std::vector<std::vector<Written>> by_measure;
  for (size_t m = 0; m < measures.size(); ++m) {
    walker.measure(*measures[m]);
    for (Written& note : walker.notes) {
      note.octave_shift = shifted[m];
      note.mended = piece.lengths[m] != piece.parts[0].measures[m].length;
    }
    share_in_chords(walker.notes);
    by_measure.push_back(walker.notes);
  }

  std::vector<std::pair<double, double>> shifts;  // from a time of the score's on: what to add
  double at = 0, midi_at = 0;
  int round = 0;
  for (const size_t m : order) {
    shifts.push_back({at, midi_at - at});
    const double length = static_cast<double>(piece.lengths[m]) / static_cast<double>(piece.units);
    const double midi_length = measure_length(file, std::llround(midi_at / kTick));
    made.moved_measures += std::abs(length - midi_length) > kHalfTick;
    // Only rests stand beyond the MIDI's measure.
    for (Written note : by_measure[m]) {
      if (!note.mended) CHECK(note.onset < midi_length - kTick);
      note.onset += midi_at;
      note.end += midi_at;
      note.notated += midi_at;
      note.chord += round * 1'000'000;
      made.written.push_back(note);
    }
    at += length;
    midi_at += midi_length;
    ++round;
  }
  for (Sound& sound : made.score) {
    const auto after = std::ranges::upper_bound(shifts, sound.onset + kHalfTick, {},
                                                &std::pair<double, double>::first);
    sound.onset += std::prev(after)->second;
    sound.end += std::prev(after)->second;
  }
}

Piece read_both(const std::string& piece) {
  const std::string stem = tests::shared("scores/" + piece);
  Piece made;
  const midi::Score file = midi::read_score(stem + ".midi_score.mid");
  made.midi = sounds_of(file);
  made.score = sounds_of(midi::parse_musicxml(
      midi::read_file(stem + ".musicxml", midi::kMaxFileBytes), stem + ".musicxml"));
  read_written(stem + ".musicxml", file, made);
  made.all_score = made.score;
  made.all_midi = made.midi;
  return made;
}

bool near(double x, double y, double within) { return std::abs(x - y) <= within; }

// ---- rules. Each takes out of score and midi what it explains, and says how many notes of either.

struct Count {
  size_t score = 0, midi = 0;
  bool operator==(const Count&) const = default;
};

// One note of the score with one of the MIDI, the nearest that `may` be it.
template <class May>
Count pair_off(Piece& piece, May may) {
  Count count;
  std::erase_if(piece.score, [&](const Sound& s) {
    auto best = piece.midi.end();
    for (auto m = piece.midi.begin(); m != piece.midi.end(); ++m) {
      if (!may(s, *m)) continue;
      if (best == piece.midi.end() ||
          std::abs(m->onset - s.onset) < std::abs(best->onset - s.onset))
        best = m;
    }
    if (best == piece.midi.end()) return false;
    piece.midi.erase(best);
    ++count.score;
    ++count.midi;
    return true;
  });
  return count;
}

template <class InScore, class InMidi>
Count take_out(Piece& piece, InScore in_score, InMidi in_midi) {
  return {std::erase_if(piece.score, in_score), std::erase_if(piece.midi, in_midi)};
}

const auto none = [](const Sound&) { return false; };

template <class May>
bool any_written(const Piece& piece, May may) {
  return std::ranges::any_of(piece.written, may);
}

// The same pitch at the same time, to half a tick.
Count same(Piece& piece) {
  return pair_off(piece, [](const Sound& s, const Sound& m) {
    return s.pitch == m.pitch && near(s.onset, m.onset, kHalfTick);
  });
}

// Two voices strike a pitch at once: two notes in the MIDI, one here.
Count unison(Piece& piece) {
  return take_out(piece, none, [&](const Sound& m) {
    return 2 <= std::ranges::count_if(piece.written, [&](const Written& w) {
             return !w.grace && w.pitch == m.pitch && near(w.onset, m.onset, kHalfTick);
           });
  });
}

// Durations are rounded to the file's divisions, and their errors add up; by the types of the notes
// before it the note is where the MIDI has it, to a tick of it.
Count rounded(Piece& piece) {
  return pair_off(piece, [&](const Sound& s, const Sound& m) {
    return s.pitch == m.pitch && near(s.onset, m.onset, 0.1) &&
           any_written(piece, [&](const Written& w) {
             return !w.grace && w.pitch == s.pitch && near(w.onset, s.onset, kHalfTick) &&
                    near(w.notated, m.onset, kTick + 1e-9);
           });
  });
}

// MuseScore rolls a chord with an arpeggio sign upwards within its duration.
Count arpeggio(Piece& piece) {
  return pair_off(piece, [&](const Sound& s, const Sound& m) {
    if (s.pitch != m.pitch || m.onset <= s.onset || m.onset >= s.end) return false;
    return any_written(
        piece, [&](const Written& w) { return w.arpeggio && near(w.onset, s.onset, kHalfTick); });
  });
}

bool plays_ornament(const Piece& piece, const Sound& m,
                    bool (*carries)(const Piece&, const Written&)) {
  return any_written(piece, [&](const Written& w) {
    return !w.grace && std::abs(w.pitch - m.pitch) <= 2 && w.onset - kTick <= m.onset &&
           m.onset < w.end && carries(piece, w);
  });
}

bool is_on(const Sound& s, const Written& w) {
  return !w.grace && w.pitch == s.pitch && near(w.onset, s.onset, kHalfTick);
}

// MuseScore plays a chord with an ornament sign out, within two semitones of its notes.
Count ornament(Piece& piece) {
  const auto carries = [](const Piece&, const Written& w) { return w.ornament; };
  return take_out(
      piece,
      [&](const Sound& s) {
        return any_written(piece, [&](const Written& w) { return w.ornament && is_on(s, w); });
      },
      [&](const Sound& m) { return plays_ornament(piece, m, carries); });
}

// A trill whose sign the file lacks, but which it writes out beside the note, in hidden notes.
Count hidden_trill(Piece& piece) {
  const auto carries = [](const Piece& p, const Written& w) {
    return 1 <= std::ranges::count_if(p.written, [&](const Written& other) {
             return other.chord == w.chord &&
                    3 <= std::ranges::count_if(p.written, [&](const Written& h) {
                      return h.hidden && h.pitch == other.pitch && h.staff == other.staff &&
                             h.onset >= other.onset - kTick && h.onset < other.end &&
                             h.chord != w.chord;
                    });
           });
  };
  return take_out(piece, none, [&](const Sound& m) { return plays_ornament(piece, m, carries); });
}

// Grace notes and the note that they lean on: how long they are is each program's choice. The MIDI
// has them in the span of that note.
Count grace(Piece& piece) {
  std::vector<Sound> spans;  // of each grace note and of each note it leans on, by pitch
  for (const Written& g : piece.written) {
    if (!g.grace) continue;
    for (const Written& w : piece.written) {
      if (w.grace || w.voice != g.voice || !near(w.onset, g.onset, kHalfTick)) continue;
      spans.push_back({w.onset, w.end, g.pitch});
      spans.push_back({w.onset, w.end, w.pitch});
    }
  }
  const auto within = [](const Sound& span, const Sound& sound) {
    return span.pitch == sound.pitch && sound.onset >= span.onset - kTick && sound.onset < span.end;
  };
  return pair_off(piece, [&](const Sound& s, const Sound& m) {
    return s.pitch == m.pitch && std::ranges::any_of(spans, [&](const Sound& span) {
             return within(span, s) && within(span, m);
           });
  });
}

// The end of a tie that begins nowhere: struck here, silent there.
Count lone_stop(Piece& piece) {
  return take_out(
      piece,
      [&](const Sound& s) {
        return any_written(piece, [&](const Written& w) {
          return w.tie_stop && is_on(s, w) && !any_written(piece, [&](const Written& from) {
                   return from.tie_start && from.pitch == w.pitch &&
                          near(from.end, w.onset, 1.0 / 32);
                 });
        });
      },
      none);
}

bool sounds_through(const std::vector<Sound>& sounds, const Sound& note) {
  return std::ranges::any_of(sounds, [&](const Sound& sound) {
    return sound.pitch == note.pitch && sound.onset < note.onset - kTick &&
           sound.end > note.onset + 2 * kTick;
  });
}

// Struck in one, held through in the other: ties that one of them lacks.
Count held(Piece& piece) {
  return take_out(
      piece, [&](const Sound& s) { return sounds_through(piece.all_midi, s); },
      [&](const Sound& m) { return sounds_through(piece.all_score, m); });
}

// An octave apart at the same time, in a measure with an octave shift.
Count octave(Piece& piece) {
  return pair_off(piece, [&](const Sound& s, const Sound& m) {
    return std::abs(s.pitch - m.pitch) == 12 && any_written(piece, [&](const Written& w) {
             return w.octave_shift && is_on(s, w) && near(w.notated, m.onset, kTick + 1e-9);
           });
  });
}

// What stands in a measure whose length the file has wrong.
Count mended(Piece& piece) {
  const auto in_mended = [&](const Sound& sound) {
    return any_written(piece, [&](const Written& w) {
      return w.mended && w.onset - kTick <= sound.onset && sound.onset <= w.end + kTick;
    });
  };
  return take_out(piece, in_mended, in_mended);
}

struct Rule {
  const char* name;
  Count (*apply)(Piece&);
};

constexpr Rule kRules[] = {
    {"same", same},         {"unison", unison},           {"rounded", rounded},
    {"arpeggio", arpeggio}, {"ornament", ornament},       {"hidden trill", hidden_trill},
    {"grace", grace},       {"lone tie stop", lone_stop}, {"octave", octave},
    {"held", held},         {"mended measure", mended},
};

void compare(const std::string& name) {
  Piece piece = read_both(name);
  std::string line = fmt::format("{}: {} notes, MIDI {}; moved measures {};", name,
                                 piece.score.size(), piece.midi.size(), piece.moved_measures);
  for (const Rule& rule : kRules) {
    const Count count = rule.apply(piece);
    if (count != Count{}) line += fmt::format(" {} {}/{}", rule.name, count.score, count.midi);
  }
  MESSAGE(line);
  for (const Sound& s : piece.score)
    MESSAGE("only score: " << s.onset << " pitch " << s.pitch << " to " << s.end);
  for (const Sound& m : piece.midi)
    MESSAGE("only MIDI: " << m.onset << " pitch " << m.pitch << " to " << m.end);
}

}  // namespace

TEST_CASE("each score has the notes of the MIDI beside it") {
  ETUDE_NEEDS_SHARED("scores");
  for (const char* piece : {"Bach__Fugue_bwv_848", "Bach__Prelude_bwv_862",
                            "Beethoven__Piano_Sonatas_17-2", "Beethoven__Piano_Sonatas_24-1",
                            "Chopin__Etudes_op_10_1", "Debussy__Images_Book_1_1_Reflets_dans_lEau",
                            "Glinka__The_Lark", "Haydn__Keyboard_Sonatas_48-1",
                            "Liszt__Transcendental_Etudes_3", "Mozart__Piano_Sonatas_12-3",
                            "Rachmaninoff__Preludes_op_32_5", "Schubert__Moment_musical_no_3"}) {
    compare(piece);
  }
}
