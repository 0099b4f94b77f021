#include "midi/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "midi/dataset.h"
#include "midi/error.h"
#include "midi/instrument.h"

namespace etude::midi {
namespace {

constexpr int kTicksPerQuarter = 480;

struct Grid {
  int tempo;  // microseconds a quarter note
  int ticks_per_quarter, ticks_per_column;
};

// A quarter note is as many columns, a power of two, as make it 0.4 s or longer. The tempo is
// strictly above the exact one: were it exact, rounding could put a note's start just before its
// column.
Grid make_grid(double fs) {
  if (!(fs >= 0.06 && fs <= 10000)) {
    throw std::invalid_argument(
        fmt::format("{} columns a second; 0.06 to 10000 can be written", fs));
  }
  int columns_per_quarter = 1;
  while (columns_per_quarter < 0.4 * fs) columns_per_quarter *= 2;
  const int ticks = std::max(1, kTicksPerQuarter / columns_per_quarter);
  const double exact = 1e6 * columns_per_quarter / fs;
  return {static_cast<int>(std::floor(exact)) + 1, ticks * columns_per_quarter, ticks};
}

Event channel_event(Ticks tick, EventKind kind, int a, int b) {
  Event event;
  event.tick = tick;
  event.kind = kind;
  event.a = static_cast<uint8_t>(a);
  event.b = static_cast<uint8_t>(b);
  return event;
}

void add_meta(Score& score, Ticks tick, uint8_t type, std::span<const uint8_t> bytes) {
  Event event;
  event.tick = tick;
  event.a = type;
  score.add(0, event, bytes);
}

}  // namespace

Score compose(std::span<const PitchSet> columns, const ComposeOptions& options,
              std::span<const PitchSet> articulated) {
  if (!articulated.empty() && articulated.size() != columns.size()) {
    throw std::invalid_argument("two planes of different length");
  }
  const Grid grid = make_grid(options.fs);
  const Ticks end = {static_cast<int64_t>(columns.size()) * grid.ticks_per_column};
  Score score;
  score.name = options.title.empty() ? "composition" : options.title;
  if (end >= kMaxTicks) {
    throw LimitError(score.name, fmt::format("{} ticks long, beyond the limit of {}", end.count,
                                             kMaxTicks.count));
  }
  score.format = 0;
  score.tracks_declared = 1;
  score.division.ticks_per_quarter = grid.ticks_per_quarter;
  score.tracks.resize(1);
  auto& events = score.tracks[0].events;

  if (!options.title.empty()) {
    const std::string& t = options.title;
    add_meta(score, {}, meta::track_name, {reinterpret_cast<const uint8_t*>(t.data()), t.size()});
  }
  const auto tempo_byte = [&](int shift) { return static_cast<uint8_t>(grid.tempo >> shift); };
  add_meta(score, {}, meta::set_tempo, std::array{tempo_byte(16), tempo_byte(8), tempo_byte(0)});
  events.push_back(channel_event({}, EventKind::program, options.program, 0));

  PitchSet open;
  Ticks tick;
  const auto move_to = [&](PitchSet next, PitchSet struck) {
    const PitchSet ends = (open - next) | (open & struck);
    const PitchSet begins = (next - open) | (next & struck);
    ends.each([&](int p) { events.push_back(channel_event(tick, EventKind::note_off, p, 0)); });
    begins.each([&](int p) {
      events.push_back(channel_event(tick, EventKind::note_on, p, options.velocity));
    });
    open = next;
  };
  for (size_t c = 0; c < columns.size(); ++c, tick += {grid.ticks_per_column}) {
    move_to(columns[c], articulated.empty() ? PitchSet{} : articulated[c]);
  }
  if (open.empty()) events.push_back(channel_event(tick, EventKind::control, kSustainPedal, 0));
  move_to({}, {});
  add_meta(score, tick, meta::end_of_track, {});
  return score;
}

std::vector<PitchSet> columns_of(const Vocabulary& vocabulary, std::span<const int32_t> tokens) {
  std::vector<PitchSet> columns;
  columns.reserve(tokens.size());
  for (const int32_t token : tokens) columns.push_back(vocabulary.pitches(token));
  return columns;
}

Primer make_primer(const Score& score, const RollOptions& options, const Vocabulary& vocabulary) {
  auto played = make_piano_roll(score, options).played;
  while (!played.empty() && played.back().empty()) played.pop_back();
  if (played.empty()) {
    throw Error(score.name, fmt::format("no column sounds at {} columns a second", options.fs));
  }
  // Before the first sounding column as after it, silence is silence: leading columns need no care.
  const size_t kept = std::min(played.size(), static_cast<size_t>(kWindow));
  Primer primer;
  primer.tokens.assign(static_cast<size_t>(kWindow) - kept, vocabulary.silence());
  primer.columns.assign(played.end() - static_cast<std::ptrdiff_t>(kept), played.end());
  for (const PitchSet pitches : primer.columns) {
    primer.tokens.push_back(vocabulary.find(pitches));
    primer.unknown += primer.tokens.back() == 0;
  }
  return primer;
}

}  // namespace etude::midi
