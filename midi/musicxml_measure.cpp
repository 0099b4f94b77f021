#include "midi/musicxml_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "midi/error.h"
#include "midi/musicxml.h"

namespace etude::midi::musicxml {
namespace {

__extension__ using Wide = __int128;

constexpr int kMaxBeats = 255;  // what a MIDI time signature can say

bool says_yes(std::string_view value) { return !value.empty() && value != "no"; }

// 3, or 3+2.
std::optional<int> beats_of(std::string_view text) {
  int sum = 0;
  while (true) {
    const size_t plus = text.find('+');
    const auto term = to_int(text.substr(0, plus));
    if (!term || *term < 1 || *term > kMaxBeats) return std::nullopt;
    sum += *term;
    if (sum > kMaxBeats) return std::nullopt;
    if (plus == std::string_view::npos) return sum;
    text.remove_prefix(plus + 1);
  }
}

// "1, 2" and the like, ascending.
std::vector<int> numbers_in(std::string_view text) {
  std::vector<int> numbers;
  while (true) {
    const size_t from = text.find_first_of("0123456789");
    if (from == std::string_view::npos) break;
    text.remove_prefix(from);
    const size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = to_int(text.substr(0, end));
    if (number && *number >= 1 && *number <= kMaxPasses && numbers.size() < kMaxPasses)
      numbers.push_back(*number);
    text.remove_prefix(end);
  }
  std::ranges::sort(numbers);
  return numbers;
}

}  // namespace

Measure PartReader::read(const Element& measure, Signs& signs) {
  measure_ = {};
  signs_ = &signs;
  at_ = 0;
  last_was_grace_ = false;
  chords_.clear();
  last_chord_.clear();
  pending_.clear();
  groups_.clear();
  loudness_.clear();
  for (const Element& child : Children(measure)) {
    if (is(child, "note")) {
      note(child);
    } else if (is(child, "backup")) {
      advance(-length(child));
    } else if (is(child, "forward")) {
      advance(length(child));
    } else if (is(child, "attributes")) {
      attributes(child);
    } else if (is(child, "direction")) {
      direction(child);
    } else if (is(child, "sound")) {
      sound(child, at_, false);
    } else if (is(child, "barline")) {
      barline(child);
    }
  }
  apply_dynamics();
  apply_graces();
  std::ranges::stable_sort(measure_.notes, {}, [](const Note& n) {
    return std::pair(n.start.unit + n.start.num / n.start.den, n.start.num % n.start.den != 0);
  });
  std::ranges::stable_sort(measure_.marks, {}, &Mark::at);
  measure_.time_signature = time_signature_;
  return std::move(measure_);
}

// ---- time

int64_t PartReader::duration_of(const Element& element) {
  const Decimal number = required_decimal(context_.name, element);
  if (!divisions_) {
    context_.found.add(element.GetLineNum(), "no <divisions> before: 1 to a quarter note");
    divisions_ = Decimal{1, 1};
  }
  const Wide units = Wide{std::abs(number.value)} * divisions_->scale * context_.units;
  const Wide whole = Wide{number.scale} * divisions_->value;
  const Wide rounded = (2 * units + whole) / (2 * whole);
  if (rounded > Wide{kMaxQuarters} * context_.units) {
    throw LimitError(context_.name, fmt::format("line {}: more than {} quarter notes are not read",
                                                element.GetLineNum(), kMaxQuarters));
  }
  return static_cast<int64_t>(number.value < 0 ? -rounded : rounded);
}

int64_t PartReader::length(const Element& element) {
  const Element* duration = element.FirstChildElement("duration");
  if (!duration)
    fail(context_.name, element, fmt::format("<{}> without a duration", element.Name()));
  const int64_t units = duration_of(*duration);
  if (units < 0) fail(context_.name, *duration, "a duration below 0");
  return units;
}

// (Backups beyond the measure's start are what rounding of durations makes.)
void PartReader::advance(int64_t by) {
  at_ = std::clamp<int64_t>(at_ + by, 0, (kMaxQuarters + 1) * context_.units);
  measure_.length = std::max(measure_.length, at_);
  last_was_grace_ = false;
}

// ---- attributes

void PartReader::attributes(const Element& element) {
  for (const Element& child : Children(element)) {
    if (is(child, "divisions")) {
      divisions_ = required_decimal(context_.name, child);
      if (divisions_->value <= 0) fail(context_.name, child, "<divisions> is not above 0");
    } else if (is(child, "time")) {
      time_signature(child);
    } else if (is(child, "key")) {
      key_signature(child);
    } else if (is(child, "transpose")) {
      transposition(child);
    } else if (is(child, "staves")) {
      const auto staves = to_int(text_of(&child));
      if (!staves || *staves < 1 || *staves > kMaxStaves)
        fail(context_.name, child, fmt::format("<staves> is not within 1..{}", kMaxStaves));
      part_.staves = std::max(part_.staves, *staves);
    } else if (is(child, "clef")) {
      if (child_text(child, "sign") == "percussion") part_.percussion = true;
    } else if (is(child, "measure-style") && child.FirstChildElement("measure-repeat")) {
      context_.found.add(child.GetLineNum(), "a measure repeat sign is not written out");
    }
  }
}

// Several pairs of beats and beat type are one after the other: 2/4 + 3/8 is 7/8.
void PartReader::time_signature(const Element& time) {
  if (time.FirstChildElement("senza-misura")) {
    time_signature_ = 0;
    return;
  }
  int beats = 0, type = 1;
  const Element* unit = nullptr;
  for (const Element* child = time.FirstChildElement("beats"); child;
       child = child->NextSiblingElement("beats")) {
    unit = child->NextSiblingElement("beat-type");
    const auto more = beats_of(text_of(child));
    const auto more_type = to_int(text_of(unit));
    const bool usable = more && more_type && *more_type >= 1 && *more_type <= 1024 &&
                        (*more_type & (*more_type - 1)) == 0;
    if (!usable) {
      beats = 0;
      break;
    }
    const int common = std::max(type, *more_type);
    beats = beats * (common / type) + *more * (common / *more_type);
    type = common;
    if (beats > kMaxBeats) break;
  }
  if (beats == 0 || beats > kMaxBeats) {
    context_.found.add(time.GetLineNum(), "a time signature that MIDI has no number for ignored");
    return;
  }
  time_signature_ = context_.units * 4 * beats / type;
  int exponent = 0;
  while (1 << exponent < type) ++exponent;
  measure_.marks.push_back({MarkKind::time, at_, -1, beats, exponent});
}

void PartReader::key_signature(const Element& key) {
  const auto fifths = to_int(child_text(key, "fifths"));
  if (!fifths || *fifths < -7 || *fifths > 7) {
    context_.found.add(key.GetLineNum(),
                       "a key signature that is not of 0..7 sharps or flats ignored");
    return;
  }
  const int minor = child_text(key, "mode") == "minor" ? 1 : 0;
  const int staff = to_int(attribute(key, "number")).value_or(0) - 1;
  measure_.marks.push_back({MarkKind::key, at_, std::max(staff, -1), *fifths, minor});
}

void PartReader::transposition(const Element& transpose) {
  const auto chromatic = to_decimal(child_text(transpose, "chromatic")).value_or(Decimal{});
  const int octaves = to_int(child_text(transpose, "octave-change")).value_or(0);
  const double by = std::round(chromatic.real()) + 12.0 * octaves;
  if (std::abs(by) > 127) fail(context_.name, transpose, "a transposition beyond all pitches");
  const int staff = to_int(attribute(transpose, "number")).value_or(0) - 1;
  if (staff < 0) transpositions_.clear();
  transpositions_[std::max(staff, -1)] = static_cast<int>(by);
}

// ---- repeats

void PartReader::barline(const Element& element) {
  const bool at_middle = attribute(element, "location") == "middle";
  for (const Element& child : Children(element)) {
    if (is(child, "repeat")) repeat(child, at_middle);
    if (is(child, "ending")) ending(child);
    if (is(child, "segno") && !signs_->segno) signs_->segno = "";
  }
}

void PartReader::repeat(const Element& element, bool at_middle) {
  if (at_middle && at_ > 0)
    context_.found.add(element.GetLineNum(), "a repeat in the middle of a measure acts at its end");
  const std::string_view direction = attribute(element, "direction");
  if (direction == "forward") {
    signs_->forward = true;
  } else if (direction == "backward") {
    const std::string_view given = attribute(element, "times");
    const auto times = to_int(given);
    if (!given.empty() && (!times || *times < 1 || *times > kMaxPasses)) {
      fail(context_.name, element,
           fmt::format("a repeat of '{}' times, not 1..{}", given.substr(0, 40), kMaxPasses));
    }
    signs_->backward = std::max(signs_->backward, times.value_or(2));
  } else {
    context_.found.add(element.GetLineNum(), "a repeat of no direction ignored");
  }
}

void PartReader::ending(const Element& element) {
  const std::string_view type = attribute(element, "type");
  if (type == "start") {
    const auto numbers = numbers_in(attribute(element, "number"));
    if (numbers.empty()) {
      context_.found.add(element.GetLineNum(), "an ending without a number ignored");
    } else if (signs_->ending.empty()) {
      signs_->ending = numbers;
    }
  } else {
    signs_->ending_stops = true;
  }
}

// ---- directions

void PartReader::direction(const Element& element) {
  int64_t at = at_;
  const Element* offset = element.FirstChildElement("offset");
  if (offset && says_yes(attribute(*offset, "sound")))
    at = std::clamp<int64_t>(at + duration_of(*offset), 0, kMaxQuarters * context_.units);
  const Element* sounding = element.FirstChildElement("sound");
  const bool has_tempo = sounding && sounding->Attribute("tempo");
  const auto percent =
      sounding ? to_decimal(attribute(*sounding, "dynamics")) : std::optional<Decimal>();
  bool has_mark = false;
  for (const Element& type : Children(element)) {
    if (!is(type, "direction-type")) continue;
    for (const Element& child : Children(type)) {
      if (is(child, "metronome") && !has_tempo) {
        if (const auto tempo = tempo_of_metronome(child))
          measure_.marks.push_back({MarkKind::tempo, at, -1, *tempo});
      } else if (is(child, "dynamics")) {
        auto mark = dynamics_of(child);
        if (!mark) continue;
        if (percent) mark->velocity = velocity_of_percent(percent->real());
        dynamics(*mark, at);
        has_mark = true;
      } else if (is(child, "segno") && !signs_->segno) {
        signs_->segno = "";
      }
    }
  }
  if (sounding) sound(*sounding, at, has_mark);
}

void PartReader::dynamics(const Dynamics& mark, int64_t at) {
  loudness_.push_back({at, mark.velocity, mark.after != 0});
  if (mark.after > 0) loudness_.push_back({at, mark.after, false});
}

void PartReader::sound(const Element& element, int64_t at, bool has_mark) {
  if (const Element* offset = element.FirstChildElement("offset"))
    at = std::clamp<int64_t>(at + duration_of(*offset), 0, kMaxQuarters * context_.units);
  if (const std::string_view given = attribute(element, "tempo"); !given.empty()) {
    const auto number = to_decimal(given);
    const auto tempo = number ? tempo_of_bpm(number->real()) : std::nullopt;
    if (tempo) {
      measure_.marks.push_back({MarkKind::tempo, at, -1, *tempo});
    } else {
      context_.found.add(element.GetLineNum(),
                         fmt::format("a tempo of '{}' ignored", given.substr(0, 40)));
    }
  }
  const auto percent = to_decimal(attribute(element, "dynamics"));
  if (percent && !has_mark) dynamics({velocity_of_percent(percent->real()), 0}, at);
  program_changes(element, at);
  play_sign(element);
}

void PartReader::play_sign(const Element& element) {
  const auto named = [&](const char* sign, std::optional<std::string>& to) {
    if (element.Attribute(sign)) to = std::string(attribute(element, sign));
  };
  named("segno", signs_->segno);
  named("coda", signs_->coda);
  named("tocoda", signs_->tocoda);
  named("dalsegno", signs_->dalsegno);
  if (says_yes(attribute(element, "dacapo"))) signs_->dacapo = true;
  if (says_yes(attribute(element, "fine"))) signs_->fine = true;
  if (says_yes(attribute(element, "forward-repeat"))) signs_->forward = true;
}

void PartReader::program_changes(const Element& element, int64_t at) {
  for (const Element& child : Children(element)) {
    if (!is(child, "midi-instrument")) continue;
    const auto program = to_int(child_text(child, "midi-program"));
    if (!program || *program < 1 || *program > 128) continue;
    const auto instrument =
        std::ranges::find(part_.instruments, attribute(child, "id"), &Instrument::id);
    const auto index =
        instrument == part_.instruments.end() ? 0 : instrument - part_.instruments.begin();
    measure_.marks.push_back({MarkKind::program, at, -1, static_cast<int>(index), *program - 1});
  }
}

// Velocities, once all marks of the measure are known: they may be written after the notes of
// another voice.
void PartReader::apply_dynamics() {
  std::ranges::stable_sort(loudness_, {}, &Loudness::at);
  std::vector<Note*> notes;
  for (Note& note : measure_.notes) notes.push_back(&note);
  std::ranges::stable_sort(notes, {}, [](const Note* note) { return note->start.unit; });
  auto next = loudness_.begin();
  int accent = 0;
  int64_t accent_at = -1;
  for (Note* note : notes) {
    for (; next != loudness_.end() && next->at <= note->start.unit; ++next) {
      if (next->momentary) {
        accent = next->velocity;
        accent_at = next->at;
      } else {
        velocity_ = next->velocity;
      }
    }
    if (note->velocity == 0) note->velocity = accent_at == note->start.unit ? accent : velocity_;
  }
  for (; next != loudness_.end(); ++next) {
    if (!next->momentary) velocity_ = next->velocity;
  }
}

}  // namespace etude::midi::musicxml
