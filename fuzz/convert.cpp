#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "fuzz/targets.h"
#include "midi/bars.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/musicxml.h"
#include "midi/musicxml_write.h"
#include "midi/quantise.h"
#include "midi/smf.h"
#include "midi/voices.h"

namespace etude::fuzz {
namespace {

using midi::Quarters;

// A bar is half a kilobyte of text: longer pieces would only take time.
constexpr midi::Ticks kLongest = {20'000};

using Sounds = std::vector<std::tuple<Quarters, Quarters, int, int>>;  // to pitch and velocity
// What holds from a place on, each value different from the one before.
template <class Value>
using Changes = std::vector<std::pair<Quarters, Value>>;

Quarters on_grid(midi::Ticks tick) { return {tick.count, midi::kGridTicks}; }

// On one place, the last is what holds.
template <class Value>
Changes<Value> changes(const std::map<midi::Ticks, Value>& all) {
  Changes<Value> result;
  for (const auto& [tick, value] : all)
    if (result.empty() || result.back().second != value) result.emplace_back(on_grid(tick), value);
  return result;
}

// --- what is wanted

Sounds sounds_of(const midi::GridScore& music) {
  Sounds sounds;
  for (const midi::GridPart& part : music.parts) {
    for (const auto& hand : part.hands) {
      for (const midi::Note& note : hand)
        sounds.emplace_back(on_grid(note.start), on_grid(note.end), note.pitch, note.velocity);
    }
  }
  std::ranges::sort(sounds);
  return sounds;
}

// As six decimals tell it.
int as_read(int tempo) {
  return static_cast<int>(std::lround(6e7 / (std::round(6e7 / tempo * 1e6) / 1e6)));
}

Changes<int> tempi_of(const midi::GridScore& music, midi::Ticks end) {
  std::map<midi::Ticks, int> tempi;
  for (const midi::TempoChange& change : music.tempi)
    if (change.tick <= end) tempi[change.tick] = as_read(change.tempo);
  return changes(tempi);
}

using Numbers = std::pair<int, int>;  // beats and beat type; fifths and whether minor

Changes<Numbers> meters_of(const std::vector<midi::Bar>& bars) {
  std::map<midi::Ticks, Numbers> meters;
  for (const midi::Bar& bar : bars) meters[bar.start] = {bar.meter.beats, bar.meter.beat_type};
  return changes(meters);
}

Changes<Numbers> keys_of(const midi::GridPart& part, const std::vector<midi::Bar>& bars) {
  std::map<midi::Ticks, Numbers> keys;
  for (const midi::KeyChange& change : part.keys) {
    const auto bar = std::ranges::find_if(
        bars, [&](const midi::Bar& b) { return b.start <= change.tick && change.tick < b.end; });
    if (bar == bars.end()) continue;
    const bool next = change.tick - bar->start > bar->end - change.tick;
    if (next && std::next(bar) == bars.end()) continue;
    keys[next ? bar->end : bar->start] = {change.key.fifths, change.key.minor};
  }
  return changes(keys);
}

// --- what came back

Sounds sounds_of(const midi::Score& score) {
  Sounds sounds;
  for (const midi::Instrument& instrument : midi::instruments(score)) {
    for (const midi::Note& note : instrument.notes)
      sounds.emplace_back(midi::quarters(note.start, score.division),
                          midi::quarters(note.end, score.division), note.pitch, note.velocity);
  }
  std::ranges::sort(sounds);
  return sounds;
}

Changes<int> tempi_of(const midi::Score& score) {
  Changes<int> tempi;
  for (const midi::Event& event : score.tracks.at(0).events)
    if (const int tempo = midi::tempo_of(score, event))
      tempi.emplace_back(midi::quarters(event.tick, score.division), tempo);
  return tempi;
}

Changes<Numbers> metas_of(const midi::Score& score, size_t track, uint8_t type) {
  Changes<Numbers> all;
  for (const midi::Event& event : score.tracks.at(track).events) {
    if (!event.is_meta(type)) continue;
    const auto bytes = score.bytes(event);
    const Numbers numbers = type == midi::meta::time_signature
                                ? Numbers{bytes[0], 1 << bytes[1]}
                                : Numbers{static_cast<int8_t>(bytes[0]), bytes[1]};
    all.emplace_back(midi::quarters(event.tick, score.division), numbers);
  }
  return all;
}

// ---

void compare(const midi::GridScore& music, const midi::Score& again) {
  expect(sounds_of(again) == sounds_of(music), "notes were lost, moved or changed");
  const auto bars = midi::bars_of(music);
  expect(tempi_of(again) == tempi_of(music, bars.back().end), "tempi were changed");
  expect(metas_of(again, 0, midi::meta::time_signature) == meters_of(bars),
         "time signatures were changed");
  size_t track = 0;
  for (const midi::GridPart& part : music.parts) {
    const auto keys = part.channel == 9 ? Changes<Numbers>() : keys_of(part, bars);
    for (size_t staff = 0; staff < midi::staves_of(part).size(); ++staff)
      expect(metas_of(again, track++, midi::meta::key_signature) == keys, "keys were changed");
  }
}

void check(const midi::Score& score, const midi::GridOptions& options) {
  midi::GridScore music;
  std::string text;
  try {
    music = midi::quantise(score, options);
    text = midi::write_musicxml(music);
  } catch (const midi::LimitError&) {  // nothing else is refused
    return;
  }
  const Bytes bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  midi::Score again;
  try {
    again = midi::parse_musicxml(bytes, "again.musicxml");
  } catch (const midi::LimitError&) {  // longer than what is read
    return;
  }
  compare(music, again);
}

}  // namespace

void convert(Bytes bytes) {
  midi::Score score;
  try {
    score = midi::parse_smf(bytes, "x.mid");
  } catch (const midi::Error&) {
    return;
  }
  if (score.end_tick() > kLongest) return;
  check(score, {.pedal = midi::Pedal::compat});
  check(score, {.grid = 4, .pedal = midi::Pedal::extend});
}

}  // namespace etude::fuzz
