#include "midi/piano_roll.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/tempo.h"

namespace etude::midi {
namespace {

using Plane = std::vector<PitchSet>;

// Which column a tick falls into: pretty_midi's int(time * fs).
struct Columns {
  const TempoMap& tempo;
  double fs;

  int64_t operator()(Ticks tick) const {
    return static_cast<int64_t>(tempo.seconds(tick).count * fs);
  }
};

// Each pitch's notes are joined before they are drawn: a file may hold a million notes on one key.
void draw_notes(const std::vector<Note>& notes, const Columns& column, PianoRoll& roll) {
  std::array<std::vector<std::pair<int64_t, int64_t>>, 128> spans;
  for (const Note& note : notes) {
    const int64_t start = column(note.start);
    spans[note.pitch].emplace_back(start, column(note.end));
    if (start < roll.columns()) roll.articulated[static_cast<size_t>(start)].set(note.pitch);
  }
  for (int pitch = 0; pitch < 128; ++pitch) {
    auto& of_pitch = spans[static_cast<size_t>(pitch)];
    // They are, but for notes that overlap: each was added when it was closed.
    if (!std::ranges::is_sorted(of_pitch)) std::ranges::sort(of_pitch);
    int64_t drawn = 0;  // columns before this one are done
    for (const auto& [start, end] : of_pitch) {
      for (int64_t c = std::max(start, drawn); c < end; ++c) {
        roll.played[static_cast<size_t>(c)].set(pitch);
      }
      drawn = std::max(drawn, end);
    }
  }
}

void hold_pedal(const Instrument& instrument, const Columns& column, Plane& played) {
  bool down = false;
  int64_t since = 0;
  for (const TimedValue& control : instrument.controllers->controls) {
    if (control.number != kSustainPedal || down == (control.value >= kPedalDown)) continue;
    down = !down;
    const int64_t now = column(control.tick);
    if (down) {
      since = now;
      continue;
    }
    PitchSet held;
    for (int64_t c = since; c < now; ++c) {
      auto& sounding = played[static_cast<size_t>(c)];
      sounding |= held;
      held = sounding;
    }
  }
}

// A bend by a part of a semitone smears a pitch over its two neighbours.
PitchSet bent(PitchSet pitches, int bend) {
  const double semitones = 2.0 * bend / 8192.0;
  const double whole = std::floor(std::abs(semitones));
  const int steps = static_cast<int>(whole);
  const bool between = std::abs(semitones) != whole;
  const PitchSet shifted = bend > 0 ? pitches.up(steps) : pitches.down(steps);
  if (!between) return shifted;
  return shifted | (bend > 0 ? shifted.up(1) : shifted.down(1));
}

void bend_pitches(const Instrument& instrument, const Columns& column, PianoRoll& roll) {
  const auto& bends = instrument.controllers->bends;  // in order of time: all of one track
  for (size_t i = 0; i < bends.size(); ++i) {
    if (bends[i].value == 0) continue;
    const int64_t until = i + 1 < bends.size() ? column(bends[i + 1].tick) : roll.columns();
    for (int64_t c = column(bends[i].tick); c < until; ++c) {
      for (Plane* plane : {&roll.played, &roll.articulated}) {
        auto& pitches = (*plane)[static_cast<size_t>(c)];
        pitches = bent(pitches, bends[i].value);
      }
    }
  }
}

}  // namespace

Pedal pedal_named(std::string_view name) {
  const auto place = std::ranges::find(kPedalNames, name);
  if (place == std::end(kPedalNames))
    throw std::invalid_argument(fmt::format("pedal \"{}\": compat, extend or off", name));
  return static_cast<Pedal>(place - std::begin(kPedalNames));
}

PianoRoll make_piano_roll(const Score& score, const RollOptions& options) {
  const double fs = options.fs;
  if (!(fs > 0) || !std::isfinite(fs)) {
    throw Error(score.name, fmt::format("a roll of {} columns a second", fs));
  }
  const auto all = instruments(score);
  if (all.empty()) throw Error(score.name, "no note that begins and ends");
  const Instrument& instrument = all.front();
  const TempoMap tempo = TempoMap::of_track(score, 0);
  const Columns column{tempo, fs};
  const double end_time = tempo.seconds(instrument.end()).count;
  if (fs * end_time >= static_cast<double>(kMaxColumns) + 1) {
    throw LimitError(score.name, fmt::format("{:.10g} columns, beyond the limit of {}",
                                             fs * end_time, kMaxColumns));
  }
  const auto columns = static_cast<size_t>(column(instrument.end()));
  PianoRoll roll{fs, Plane(columns), Plane(columns)};
  if (instrument.is_drum()) return roll;
  draw_notes(options.pedal == Pedal::extend ? pedalled_notes(instrument) : instrument.notes, column,
             roll);
  if (options.pedal == Pedal::compat) hold_pedal(instrument, column, roll.played);
  for (size_t c = 0; c < columns; ++c) roll.articulated[c] &= roll.played[c];
  bend_pitches(instrument, column, roll);
  return roll;
}

std::string roll_text(const PianoRoll& roll) {
  std::string text = fmt::format("# fs={} columns={}\n", roll.fs, roll.columns());
  for (size_t c = 0; c < roll.played.size(); ++c) {
    if (roll.played[c].empty()) continue;
    fmt::format_to(std::back_inserter(text), "{}: ", c);
    const char* comma = "";
    roll.played[c].each([&](int pitch) {
      fmt::format_to(std::back_inserter(text), "{}{}", comma, pitch);
      comma = ",";
    });
    text += '\n';
  }
  return text;
}

}  // namespace etude::midi
