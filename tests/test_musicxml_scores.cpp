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
#include "midi/score_file.h"
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
      const double at = static_cast<double>(event.tick.count) / quarter;
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
  // The onset, if what rounding does to durations is undone: from the types of the notes since the
  // last backup or forward (which itself leads to a 64th note); and without the short forwards.
  double notated, unfilled;
  int tuplet_notes;  // among those
  int pitch, chord;  // chords are numbered through
  std::string voice, staff;
  bool grace, tie_start, tie_stop, hidden, arpeggio, ornament, articulated;
  bool octave_shift;  // one begins, ends or holds in its measure
  bool broken;        // the tuplets that it is among end on no 64th note
};

double number_in(const Element& element, const char* child) {
  const Element* found = element.FirstChildElement(child);
  return found ? found->DoubleText() : 0;
}

bool near(double x, double y, double within) { return std::abs(x - y) <= within; }

// The nearest 64th note.
double on_grid(double at) { return std::round(at * 16) / 16; }

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
  std::vector<Written> notes;  // of the last measure

  void measure(const Element& measure) {
    at_ = 0;
    notes.clear();
    begin_run();
    for (const Element* child = measure.FirstChildElement(); child;
         child = child->NextSiblingElement()) {
      const std::string name = child->Name();
      if (name == "attributes" && child->FirstChildElement("divisions"))
        divisions_ = number_in(*child, "divisions");
      if (name == "backup") move(-number_in(*child, "duration") / divisions_);
      if (name == "forward") move(number_in(*child, "duration") / divisions_);
      if (name == "note") note(*child);
    }
    end_run();
  }

 private:
  void begin_run() {
    notated_ = unfilled_ = near(at_, on_grid(at_), 1.0 / 48) ? on_grid(at_) : at_;
    tuplet_notes_ = 0;
    first_of_run_ = notes.size();
  }

  void end_run() {
    const bool broken = tuplet_notes_ > 0 && !near(notated_, on_grid(notated_), 1e-6);
    for (size_t i = first_of_run_; i < notes.size(); ++i) notes[i].broken = broken;
  }

  // Forwards below a 128th note make up for rounding: the run goes on.
  void move(double by) {
    at_ = std::max(0.0, at_ + by);
    if (by > 0 && by < 1.0 / 32) return;
    end_run();
    begin_run();
  }

  void note(const Element& element) {
    const bool grace = element.FirstChildElement("grace");
    const bool joins = element.FirstChildElement("chord");
    const double duration = grace ? 0 : number_in(element, "duration") / divisions_;
    if (!joins) {
      chord_at_ = at_;
      chord_notated_ = notated_;
      chord_unfilled_ = unfilled_;
      chord_tuplet_notes_ = tuplet_notes_;
      ++chord_;
      at_ += duration;
      if (!grace) add_to_run(element, duration);
    }
    if (const Element* pitch = element.FirstChildElement("pitch"))
      notes.push_back(written(element, *pitch, grace, duration));
  }

  // What is far from its type is no rounding: a rest of a whole measure, an exporter's filler.
  void add_to_run(const Element& element, double duration) {
    const double notated = notated_length(element);
    notated_ += near(notated, duration, 1.0 / divisions_) ? notated : duration;
    unfilled_ += duration;
    tuplet_notes_ += element.FirstChildElement("time-modification") != nullptr;
  }

  Written written(const Element& element, const Element& pitch, bool grace, double duration) const {
    const int semitones = static_cast<int>(std::string("C D EF G A B").find(text(pitch, "step")));
    Written made{};
    made.onset = chord_at_;
    made.end = chord_at_ + duration;
    made.notated = chord_notated_;
    made.unfilled = chord_unfilled_;
    made.tuplet_notes = chord_tuplet_notes_;
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

  double divisions_ = 1, at_ = 0, notated_ = 0, unfilled_ = 0;
  double chord_at_ = 0, chord_notated_ = 0, chord_unfilled_ = 0;  // of the last chord
  int tuplet_notes_ = 0, chord_tuplet_notes_ = 0, chord_ = 0;
  size_t first_of_run_ = 0;
};

// A score and its MIDI, on the MIDI's time: the lengths of measures are those of its time
// signatures.
struct Piece {
  std::vector<Sound> score, midi;  // what is read; what is not yet explained stays in
  std::vector<Sound> all_score, all_midi;
  std::vector<Written> written;
  int moved_measures = 0;  // measures that are longer in the score than in the MIDI
};

// By the time signature in force, or as far as the next one: the exporter's signatures have an
// upper number only, where the lower is none that it knows.
double measure_length(const midi::Score& file, int64_t tick) {
  double length = 4;
  for (const midi::Event& event : file.tracks[0].events) {
    if (!event.is_meta(midi::meta::time_signature)) continue;
    if (event.tick.count > tick)
      return std::min(length, static_cast<double>(event.tick.count - tick) * kTick);
    length = 4.0 * file.bytes(event)[0] / (1 << file.bytes(event)[1]);
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
  midi::musicxml::Notices findings(list, name, midi::Reading::tolerant);
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
      CHECK(note.onset < midi_length - kTick);
      note.onset += midi_at;
      note.end += midi_at;
      note.notated += midi_at;
      note.unfilled += midi_at;
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

bool is_on(const Sound& s, const Written& w) {
  return !w.grace && w.pitch == s.pitch && near(w.onset, s.onset, kHalfTick);
}

// Where the MIDI may have what is written: it rounds each of a tuplet's notes to its ticks again.
bool may_begin(const Written& w, double onset) {
  const double rounding = kTick * (1 + 0.5 * w.tuplet_notes) + 1e-9;
  return near(w.onset, onset, kHalfTick) || near(w.notated, onset, rounding) ||
         near(w.unfilled, onset, kTick + 1e-9);
}

// Two voices strike a pitch at once: two notes in the MIDI, one here.
Count unison(Piece& piece) {
  return take_out(piece, none, [&](const Sound& m) {
    return 2 <= std::ranges::count_if(piece.written, [&](const Written& w) {
             return !w.grace && w.pitch == m.pitch && may_begin(w, m.onset);
           });
  });
}

// Durations are rounded to the file's divisions, and their errors add up; with that undone the note
// is where the MIDI has it.
Count rounded(Piece& piece) {
  return pair_off(piece, [&](const Sound& s, const Sound& m) {
    return s.pitch == m.pitch && near(s.onset, m.onset, 0.1) &&
           any_written(piece,
                       [&](const Written& w) { return is_on(s, w) && may_begin(w, m.onset); });
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

double tied_end(const Piece& piece, const Written& w) {
  double end = w.end;
  for (const Sound& s : piece.all_score) {
    if (w.tie_start && s.pitch == w.pitch && s.onset <= w.onset + kTick && s.end >= w.end - kTick)
      end = std::max(end, s.end);
  }
  return end;
}

bool plays_ornament(const Piece& piece, const Sound& m,
                    bool (*carries)(const Piece&, const Written&)) {
  return any_written(piece, [&](const Written& w) {
    return !w.grace && std::abs(w.pitch - m.pitch) <= 3 && w.onset - kTick <= m.onset &&
           m.onset < tied_end(piece, w) && carries(piece, w);
  });
}

// MuseScore plays a chord with an ornament sign out, on the neighbouring degrees of its notes.
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

// Where the chord before a note of its voice begins.
double before(const Piece& piece, const Written& note) {
  double latest = -1;
  for (const Written& w : piece.written) {
    if (!w.grace && w.voice == note.voice && w.onset < note.onset - kTick)
      latest = std::max(latest, w.onset);
  }
  return latest;
}

// Grace notes and the note that they lean on: how long they are is each program's choice. The MIDI
// has them within that note, or in the last eighth before it, within the note before.
Count grace(Piece& piece) {
  std::vector<Sound> spans;  // of each grace note and of each note it leans on, by pitch
  for (const Written& g : piece.written) {
    if (!g.grace) continue;
    for (const Written& w : piece.written) {
      if (w.grace || w.voice != g.voice || !near(w.onset, g.onset, kHalfTick)) continue;
      const double from = std::max(before(piece, g), w.onset - 0.5);
      spans.push_back({from, w.end, g.pitch});
      spans.push_back({from, w.end, w.pitch});
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
             return w.octave_shift && is_on(s, w) && may_begin(w, m.onset);
           });
  });
}

// Tuplets that do not add up: the MIDI has them whole, at most a 32nd note away (and in the octave
// of the rule before).
Count broken(Piece& piece) {
  return pair_off(piece, [&](const Sound& s, const Sound& m) {
    if (!near(s.onset, m.onset, 3.0 / 16)) return false;
    return any_written(piece, [&](const Written& w) {
      const int apart = std::abs(s.pitch - m.pitch);
      return w.broken && is_on(s, w) && (apart == 0 || (apart == 12 && w.octave_shift));
    });
  });
}

// A note that the MIDI adds to an earlier one of its pitch, with other notes between: it is as long
// there as both are written (or 19/20 of it), and this is not struck.
Count tied_over(Piece& piece) {
  return take_out(
      piece,
      [&](const Sound& s) {
        return any_written(piece, [&](const Written& first) {
          if (first.grace || first.pitch != s.pitch || first.onset >= s.onset) return false;
          const double end = first.end + s.end - s.onset;
          return std::ranges::any_of(piece.all_midi, [&](const Sound& m) {
            return m.pitch == s.pitch && m.end > first.end + kTick && m.end < end &&
                   m.end >= end - (end - first.onset) / 20 - kTick && m.onset < s.onset;
          });
        });
      },
      none);
}

// A chord of the MIDI's, struck and released together, which the file has without this note.
Count wider_chord(Piece& piece) {
  return take_out(piece, none, [&](const Sound& m) {
    return std::ranges::any_of(piece.all_midi, [&](const Sound& other) {
      return other.pitch != m.pitch && other.onset == m.onset && other.end == m.end &&
             any_written(piece, [&](const Written& w) { return is_on(other, w); });
    });
  });
}

struct Rule {
  const char* name;
  Count (*apply)(Piece&);
};

constexpr Rule kRules[] = {
    {"same", same},
    {"unison", unison},
    {"rounded", rounded},
    {"arpeggio", arpeggio},
    {"grace", grace},
    {"ornament", ornament},
    {"hidden trill", hidden_trill},
    {"lone tie stop", lone_stop},
    {"octave", octave},
    {"broken tuplet", broken},
    {"tied over", tied_over},
    {"held", held},
    {"wider chord", wider_chord},
};

// How long what is struck at the same time is in both. The MIDI ends a note a tick early.
struct Lengths {
  size_t same = 0;
  size_t articulated = 0;  // shorter there, and has an articulation
  size_t gated = 0;    // no more than a tenth shorter there, with none: the instrument's gate time
  size_t played = 0;   // an ornament, an arpeggio or a grace note is played out
  size_t other = 0;    // voices that share a key, ties that one of both lacks
  size_t unclear = 0;  // several notes on that key begin there
  bool operator==(const Lengths&) const = default;
};

size_t starting(const std::vector<Sound>& sounds, const Sound& sound) {
  return static_cast<size_t>(std::ranges::count_if(sounds, [&](const Sound& other) {
    return other.pitch == sound.pitch && near(other.onset, sound.onset, kHalfTick);
  }));
}

Lengths compare_lengths(const Piece& piece) {
  Lengths lengths;
  for (const Sound& s : piece.all_score) {
    const auto m = std::ranges::find_if(piece.all_midi, [&](const Sound& other) {
      return other.pitch == s.pitch && near(other.onset, s.onset, kHalfTick);
    });
    if (m == piece.all_midi.end()) continue;
    const auto has = [&](bool Written::*sign) {
      return any_written(piece, [&](const Written& w) { return is_on(s, w) && w.*sign; });
    };
    const bool grace = any_written(piece, [&](const Written& w) {
      return w.grace && w.pitch == s.pitch && near(w.onset, s.onset, kHalfTick);
    });
    const double shorter = s.end - m->end - kTick, length = s.end - s.onset;
    if (starting(piece.all_midi, s) > 1 || starting(piece.all_score, s) > 1) {
      ++lengths.unclear;
    } else if (std::abs(shorter) < 1.5 * kTick) {
      ++lengths.same;
    } else if (shorter > 0 && has(&Written::articulated)) {
      ++lengths.articulated;
    } else if (has(&Written::ornament) || has(&Written::arpeggio) || grace) {
      ++lengths.played;
    } else if (shorter > 0 && shorter < 0.1 * length) {
      ++lengths.gated;
    } else {
      ++lengths.other;
    }
  }
  return lengths;
}

// What each rule explains in each piece: a change of the reader shows here.
struct Expected {
  std::string piece;
  size_t score, midi;
  int moved_measures;
  std::map<std::string, Count> rules;
  Lengths lengths;
};

const std::vector<Expected> kExpected = {
    {"Bach__Fugue_bwv_848",
     1428,
     1441,
     0,
     {{"same", {1427, 1427}}, {"unison", {0, 8}}, {"ornament", {1, 6}}},
     {1404, 0, 0, 0, 10, 13}},
    {"Bach__Prelude_bwv_862",
     685,
     702,
     0,
     {{"same", {685, 685}}, {"unison", {0, 2}}, {"ornament", {0, 15}}},
     {672, 0, 0, 2, 5, 6}},
    {"Beethoven__Piano_Sonatas_17-2",
     1702,
     1774,
     1,
     {{"same", {1673, 1673}},
      {"unison", {0, 5}},
      {"rounded", {15, 15}},
      {"arpeggio", {2, 2}},
      {"ornament", {12, 76}},
      {"held", {0, 3}}},
     {1457, 192, 1, 3, 13, 7}},
    {"Beethoven__Piano_Sonatas_24-1",
     2820,
     3042,
     0,
     {{"same", {2747, 2747}},
      {"unison", {0, 12}},
      {"rounded", {72, 72}},
      {"ornament", {1, 87}},
      {"hidden trill", {0, 124}}},
     {2662, 61, 0, 4, 8, 12}},
    {"Chopin__Etudes_op_10_1", 1337, 1337, 0, {{"same", {1337, 1337}}}, {1337, 0, 0, 0, 0, 0}},
    {"Debussy__Images_Book_1_1_Reflets_dans_lEau",
     2034,
     2057,
     0,
     {{"same", {1883, 1883}},
      {"unison", {0, 39}},
      {"rounded", {96, 96}},
      {"arpeggio", {13, 13}},
      {"octave", {17, 17}},
      {"broken tuplet", {6, 6}},
      {"tied over", {16, 0}},
      {"held", {3, 2}},
      {"wider chord", {0, 1}}},
     {1364, 65, 354, 2, 59, 39}},
    {"Glinka__The_Lark",
     2096,
     2123,
     0,
     {{"same", {1994, 1994}},
      {"unison", {0, 30}},
      {"arpeggio", {81, 81}},
      {"grace", {18, 18}},
      {"lone tie stop", {3, 0}}},
     {1750, 163, 0, 13, 36, 32}},
    {"Haydn__Keyboard_Sonatas_48-1",
     1969,
     1974,
     0,
     {{"same", {1889, 1889}}, {"grace", {79, 79}}, {"ornament", {1, 6}}},
     {1775, 110, 0, 1, 3, 0}},
    {"Liszt__Transcendental_Etudes_3",
     1898,
     1930,
     0,
     {{"same", {1882, 1882}}, {"unison", {0, 32}}, {"arpeggio", {14, 14}}, {"grace", {2, 2}}},
     {1292, 555, 0, 2, 1, 32}},
    {"Mozart__Piano_Sonatas_12-3",
     2929,
     2942,
     0,
     {{"same", {2924, 2924}}, {"unison", {0, 4}}, {"ornament", {0, 14}}, {"lone tie stop", {5, 0}}},
     {2792, 118, 0, 2, 8, 4}},
    {"Rachmaninoff__Preludes_op_32_5",
     1211,
     1439,
     0,
     {{"same", {1163, 1163}},
      {"unison", {0, 92}},
      {"arpeggio", {5, 5}},
      {"grace", {43, 43}},
      {"ornament", {0, 136}}},
     {823, 9, 226, 3, 10, 92}},
    {"Schubert__Moment_musical_no_3",
     1058,
     1058,
     0,
     {{"same", {1058, 1058}}},
     {485, 567, 0, 0, 0, 6}},
};

void show(const Expected& expected) {
  std::string rules;
  for (const auto& [rule, count] : expected.rules)
    rules += fmt::format(", {} {}/{}", rule, count.score, count.midi);
  const Lengths& l = expected.lengths;
  MESSAGE(
      fmt::format("{}: {} notes, MIDI {}{}; as long {}, articulated {}, gated {}, played out {}, "
                  "other {}, unclear {}",
                  expected.piece, expected.score, expected.midi, rules, l.same, l.articulated,
                  l.gated, l.played, l.other, l.unclear));
}

void compare(const Expected& expected) {
  Piece piece = read_both(expected.piece);
  Expected is{expected.piece, piece.score.size(), piece.midi.size(), piece.moved_measures, {}, {}};
  for (const Rule& rule : kRules) {
    const Count count = rule.apply(piece);
    if (count != Count{}) is.rules[rule.name] = count;
  }
  is.lengths = compare_lengths(piece);
  show(is);
  CAPTURE(expected.piece);
  for (const Sound& s : piece.score)
    FAIL_CHECK(fmt::format("pitch {} at {} is not in the MIDI", s.pitch, s.onset));
  for (const Sound& m : piece.midi)
    FAIL_CHECK(fmt::format("pitch {} at {} is only in the MIDI", m.pitch, m.onset));
  CHECK(is.score == expected.score);
  CHECK(is.midi == expected.midi);
  CHECK(is.moved_measures == expected.moved_measures);
  CHECK((is.rules == expected.rules));
  CHECK((is.lengths == expected.lengths));
}

// Microseconds a quarter by tick of the MIDI files, without those that repeat the one before.
std::map<int64_t, int> tempi(const midi::Score& score) {
  std::map<int64_t, int> found;
  int last = 500'000;  // where none is given
  for (const midi::Event& event : score.tracks[0].events) {
    const int tempo = midi::tempo_of(score, event);
    if (tempo == 0 || std::abs(tempo - last) <= 1) continue;  // (one microsecond is rounding)
    found[event.tick.count * 480 / score.division.ticks_per_quarter] = last = tempo;
  }
  return found;
}

std::map<std::pair<size_t, int64_t>, int> keys(const midi::Score& score) {
  std::map<std::pair<size_t, int64_t>, int> found;
  for (size_t track = 0; track < score.tracks.size(); ++track) {
    for (const midi::Event& event : score.tracks[track].events) {
      if (event.is_meta(midi::meta::key_signature))
        found[{track, event.tick.count * 480 / score.division.ticks_per_quarter}] =
            static_cast<int8_t>(score.bytes(event)[0]);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("each score has the notes of the MIDI beside it") {
  ETUDE_NEEDS_SHARED("scores");
  for (const Expected& expected : kExpected) compare(expected);
}

TEST_CASE("each score has the keys and tempi of the MIDI beside it") {
  ETUDE_NEEDS_SHARED("scores");
  for (const Expected& expected : kExpected) {
    CAPTURE(expected.piece);
    const std::string stem = tests::shared("scores/" + expected.piece);
    const midi::Score file = midi::read_score(stem + ".midi_score.mid");
    const midi::Score score = midi::parse_musicxml(
        midi::read_file(stem + ".musicxml", midi::kMaxFileBytes), stem + ".musicxml");
    CHECK(score.tracks.size() == file.tracks.size());
    CHECK((keys(score) == keys(file)));
    // This one's MIDI was made without the tempi of the file.
    if (expected.piece == "Glinka__The_Lark") {
      CHECK(tempi(file).empty());
      CHECK(tempi(score).size() == 3);
    } else {
      const auto here = tempi(score), there = tempi(file);
      CHECK(std::ranges::equal(here, there, [](const auto& x, const auto& y) {
        return x.first == y.first && std::abs(x.second - y.second) <= 1;
      }));
    }
  }
}
