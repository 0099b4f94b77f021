#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "midi/error.h"
#include "midi/musicxml_measure.h"

namespace etude::midi::musicxml {
namespace {

constexpr size_t kMaxChords = 20'000;  // in a measure of a part, grace notes apart

int dots_of(const Element& note) {
  int dots = 0;
  for (const Element& child : Children(note)) dots += is(child, "dot");
  return dots;
}

}  // namespace

void PartReader::note(const Element& element) {
  const Element* grace_sign = element.FirstChildElement("grace");
  Note made;
  made.line = element.GetLineNum();
  made.voice = voice_of(element);
  made.staff = staff_of(element);
  made.instrument = instrument_of(element);
  if (const auto percent = to_decimal(attribute(element, "dynamics")))
    made.velocity = velocity_of_percent(percent->real());
  ties_of(element, made);
  bool sounds = context_.cue_sounds || !element.FirstChildElement("cue");
  if (const auto pitch = pitch_of(element, made.staff, made.instrument)) {
    made.pitch = *pitch;
  } else {
    sounds = false;
  }
  if (grace_sign) {
    grace(element, *grace_sign, made, sounds);
  } else {
    chord(element, made, sounds);
  }
}

// Where a grace note sounds is known when the chord that it leans on is: apply_graces().
void PartReader::grace(const Element& element, const Element& sign, const Note& made, bool sounds) {
  auto& pending = pending_[made.voice];
  const bool joins = element.FirstChildElement("chord") && last_was_grace_ && !pending.empty();
  if (!joins) {
    pending.push_back({.start = at_,
                       .voice = made.voice,
                       .slash = attribute(sign, "slash") == "yes",
                       .steals_previous = sign.Attribute("steal-time-previous") != nullptr,
                       .line = made.line});
  }
  last_was_grace_ = true;
  if (!sounds) return;
  pending.back().notes.push_back(measure_.notes.size());
  measure_.notes.push_back(made);
  measure_.notes.back().start.unit = pending.back().start;
}

void PartReader::chord(const Element& element, Note made, bool sounds) {
  const int64_t duration = length(element);
  const bool joins = element.FirstChildElement("chord") && !chords_.empty() && !last_was_grace_;
  if (!joins) {
    if (chords_.size() == kMaxChords) {
      throw LimitError(context_.name,
                       fmt::format("line {}: more than {} notes in a measure are not "
                                   "read",
                                   made.line, kMaxChords));
    }
    chords_.push_back({.start = at_,
                       .duration = duration,
                       .voice = made.voice,
                       .dots = dots_of(element),
                       .line = made.line});
    const auto [last, is_first] = last_chord_.try_emplace(made.voice);
    if (!is_first) chords_.back().previous = last->second;
    last->second = chords_.size() - 1;
    advance(duration);
  }
  last_was_grace_ = false;
  if (sounds && duration == 0) {
    context_.found.add(made.line, "a note without duration passed over");
    sounds = false;
  }
  Chord& chord = chords_.back();
  if (sounds) {
    made.start.unit = chord.start;
    made.end.unit = chord.start + duration;
    measure_.length = std::max(measure_.length, made.end.unit);
    chord.notes.push_back(measure_.notes.size());
    chord.tied_back = chord.tied_back || made.tie_stop;
    measure_.notes.push_back(made);
    notation_dynamics(element, chord.start);
  }
  const auto pending = pending_.find(made.voice);
  if (joins || pending == pending_.end() || pending->second.empty()) return;
  groups_.push_back({std::move(pending->second), chords_.size() - 1, true});
  pending->second.clear();
}

void PartReader::notation_dynamics(const Element& element, int64_t at) {
  for (const Element& notations : Children(element)) {
    if (!is(notations, "notations")) continue;
    const Element* mark = notations.FirstChildElement("dynamics");
    const auto known = mark ? dynamics_of(*mark) : std::nullopt;
    if (known) dynamics(*known, at);
  }
}

// Nothing for a rest and for what has no MIDI pitch.
std::optional<int> PartReader::pitch_of(const Element& element, int staff, int instrument) {
  if (element.FirstChildElement("unpitched")) {
    part_.percussion = true;
    const int pitch = part_.instruments[static_cast<size_t>(instrument)].unpitched;
    if (pitch >= 0) return pitch;
    context_.found.add(element.GetLineNum(),
                       "an unpitched note without <midi-unpitched> is silent");
    return std::nullopt;
  }
  const Element* pitch = element.FirstChildElement("pitch");
  if (!pitch) {
    if (!element.FirstChildElement("rest"))
      fail(context_.name, element, "a note without pitch, rest or unpitched");
    return std::nullopt;
  }
  constexpr std::string_view kSteps = "C D EF G A B";  // by semitones
  const std::string_view step = child_text(*pitch, "step");
  if (step.size() != 1 || step == " " || kSteps.find(step) == std::string_view::npos)
    fail(context_.name, *pitch, fmt::format("the step '{}' is none of A..G", step.substr(0, 40)));
  const auto octave = to_int(child_text(*pitch, "octave"));
  // B sharp -2 is pitch 0, and C flat 10 is 131 before what transposes it.
  if (!octave || *octave < -2 || *octave > 10) {
    fail(context_.name, *pitch,
         fmt::format("the octave '{}' is none of -2..10",
                     child_text(*pitch, "octave").substr(0, 40)));
  }
  const int alter = alter_of(*pitch);
  const auto own = transpositions_.find(staff), all = transpositions_.find(-1);
  const int transposed = own != transpositions_.end()   ? own->second
                         : all != transpositions_.end() ? all->second
                                                        : 0;
  const int sounding =
      static_cast<int>(kSteps.find(step)) + 12 * (*octave + 1) + alter + transposed;
  if (sounding >= 0 && sounding < 128) return sounding;
  context_.found.add(pitch->GetLineNum(),
                     fmt::format("pitch {} is none of MIDI's: silent", sounding));
  return std::nullopt;
}

// Semitones; quarter tones away from zero.
int PartReader::alter_of(const Element& pitch) {
  const Element* element = pitch.FirstChildElement("alter");
  if (!element || text_of(element).empty()) return 0;
  const double alter = required_decimal(context_.name, *element).real();
  if (std::abs(alter) > 12) fail(context_.name, *element, "an <alter> of more than an octave");
  if (alter != std::round(alter) && !microtone_told_) {
    microtone_told_ = true;
    context_.found.add(element->GetLineNum(),
                       "pitches between semitones rounded (the first one here)");
  }
  return static_cast<int>(std::round(alter));
}

int PartReader::staff_of(const Element& element) {
  const Element* staff = element.FirstChildElement("staff");
  if (!staff) return 0;
  const auto number = to_int(text_of(staff));
  if (!number || *number < 1 || *number > kMaxStaves)
    fail(context_.name, *staff, fmt::format("a staff that is none of 1..{}", kMaxStaves));
  part_.staves = std::max(part_.staves, *number);
  return *number - 1;
}

int PartReader::voice_of(const Element& element) {
  std::string_view name = child_text(element, "voice");
  if (name.empty()) name = "1";
  const auto known = voices_.find(name);
  if (known != voices_.end()) return known->second;
  const int number = static_cast<int>(voices_.size());
  voices_.emplace(name, number);
  return number;
}

int PartReader::instrument_of(const Element& element) {
  const Element* instrument = element.FirstChildElement("instrument");
  if (!instrument) return 0;
  const auto at =
      std::ranges::find(part_.instruments, attribute(*instrument, "id"), &Instrument::id);
  return at == part_.instruments.end() ? 0 : static_cast<int>(at - part_.instruments.begin());
}

// <tie> is what sounds; some programs write <tied> alone.
void PartReader::ties_of(const Element& element, Note& note) {
  const auto take = [&note](const Element& tie) {
    const std::string_view type = attribute(tie, "type");
    if (type == "start") note.tie_start = true;
    if (type == "stop") note.tie_stop = true;
    if (type == "continue") note.tie_start = note.tie_stop = true;
  };
  if (element.FirstChildElement("tie")) {
    for (const Element& child : Children(element)) {
      if (is(child, "tie")) take(child);
    }
    return;
  }
  for (const Element& notations : Children(element)) {
    if (!is(notations, "notations")) continue;
    for (const Element& child : Children(notations)) {
      if (is(child, "tied")) take(child);
    }
  }
}

// ---- grace notes

void PartReader::apply_graces() {
  for (auto& [voice, graces] : pending_) {
    if (graces.empty()) continue;
    const auto last = last_chord_.find(voice);
    if (last == last_chord_.end()) {
      context_.found.add(graces[0].line, "grace notes with no note beside them are silent");
      for (const Chord& grace : graces) silence(grace);
      continue;
    }
    groups_.push_back({graces, last->second, false});
  }
  for (GraceGroup& group : groups_) lean(group);
  std::erase_if(measure_.notes, [](const Note& note) { return note.pitch < 0; });
}

// Decides which chord the group takes its time from. A rest has none to give, and a note that is
// tied from before is not struck again.
void PartReader::lean(const GraceGroup& group) {
  const Chord& chord = chords_[group.chord];
  const bool before =
      group.before && !group.graces[0].steals_previous && !chord.notes.empty() && !chord.tied_back;
  if (before) return take_from_next(chord, group.graces);
  size_t k = group.chord;
  if (group.before) {
    if (!chord.previous) {
      context_.found.add(group.graces[0].line, "grace notes with no note beside them are silent");
      for (const Chord& grace : group.graces) silence(grace);
      return;
    }
    k = *chord.previous;
  }
  take_from_previous(chords_[k], group.graces);
}

void PartReader::silence(const Chord& grace) {
  for (const size_t i : grace.notes) measure_.notes[i].pitch = -1;
}

namespace {

// Parts of a chord's duration that unslashed grace notes before it take: num / den.
struct Share {
  int64_t num, den;
};
Share share_of(int dots) {
  if (dots == 0) return {1, 2};
  return dots == 1 ? Share{2, 3} : Share{4, 7};
}

// k of n equal parts of num / den of a duration.
Moment part_of(int64_t start, int64_t duration, Share share, size_t k, size_t n) {
  const auto of = static_cast<int64_t>(n) * share.den;
  const int64_t common = std::gcd(share.num * static_cast<int64_t>(k), of);
  const int64_t den = common == 0 ? 1 : of / common;
  const int64_t num = common == 0 ? 0 : share.num * static_cast<int64_t>(k) / common;
  return {start + duration / den * num, duration % den * num, den};
}

}  // namespace

// A 32nd note each, at most half of the duration in all, as a share of it.
Moment PartReader::thirty_second(const Chord& chord, int64_t start, size_t k, size_t n) const {
  const auto count = static_cast<int64_t>(n), at = static_cast<int64_t>(k);
  if (count * context_.units > 4 * chord.duration)
    return part_of(start, chord.duration, {1, 2}, k, n);
  return part_of(start, context_.units * at, {1, 8}, 1, 1);
}

void PartReader::take_from_next(const Chord& chord, const std::vector<Chord>& graces) {
  const size_t n = graces.size();
  const auto at = [&](size_t k) {
    return graces[0].slash ? thirty_second(chord, chord.start, k, n)
                           : part_of(chord.start, chord.duration, share_of(chord.dots), k, n);
  };
  for (size_t k = 0; k < n; ++k) set_span(graces[k], at(k), at(k + 1));
  for (const size_t i : chord.notes) measure_.notes[i].start = at(n);
}

void PartReader::take_from_previous(const Chord& chord, const std::vector<Chord>& graces) {
  const size_t n = graces.size();
  const int64_t end = chord.start + chord.duration;
  const Moment all = thirty_second(chord, 0, n, n);
  const auto at = [&](size_t k) {
    Moment moment = thirty_second(chord, end, k, n);
    moment.unit -= all.unit;
    moment.num = moment.num * all.den - all.num * moment.den;
    moment.den *= all.den;
    if (moment.num < 0) {
      moment.num += moment.den;
      moment.unit -= 1;
    }
    return moment;
  };
  for (size_t k = 0; k < n; ++k) set_span(graces[k], at(k), at(k + 1));
  for (const size_t i : chord.notes) measure_.notes[i].end = at(0);
}

void PartReader::set_span(const Chord& grace, const Moment& start, const Moment& end) {
  for (const size_t i : grace.notes) {
    measure_.notes[i].start = start;
    measure_.notes[i].end = end;
  }
}

}  // namespace etude::midi::musicxml
