#include "midi/quantise.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>

#include "midi/error.h"
#include "midi/key.h"
#include "midi/meta_events.h"
#include "midi/text.h"

namespace etude::midi {
namespace {

// Ticks of a score to quarter notes: times above / below.
struct Rate {
  int64_t above = 1, below = 1;
};

Rate rate_of(const Division& division) {
  if (!division.smpte()) return {1, division.ticks_per_quarter};
  // Two quarters a second; 29 frames a second are 30000 / 1001.
  if (division.frame_code == 29) return {2 * 1001, int64_t{30000} * division.ticks_per_frame};
  return {2, int64_t{division.frame_code} * division.ticks_per_frame};
}

// The columns a quarter note that every onset and end needs: a grid with a multiple of it has all.
int64_t columns_needed(const std::vector<Instrument>& sources, Rate rate) {
  int64_t common = rate.below;
  for (const Instrument& source : sources) {
    for (const Note& note : source.notes) {
      common = std::gcd(common, note.start.count * rate.above);
      common = std::gcd(common, note.end.count * rate.above);
    }
  }
  return rate.below / common;
}

// The share of onsets that lie near a column: within a hundredth of a quarter note.
double share_on(const std::vector<Instrument>& sources, Rate rate, int grid) {
  size_t near = 0, all = 0;
  for (const Instrument& source : sources) {
    for (const Note& note : source.notes) {
      const int64_t past = note.start.count * rate.above * grid % rate.below;
      near += std::min(past, rate.below - past) * 100 <= rate.below * grid;
      ++all;
    }
  }
  return all == 0 ? 0 : static_cast<double>(near) / static_cast<double>(all);
}

int automatic_grid(const std::vector<Instrument>& sources, Rate rate) {
  const int64_t needed = columns_needed(sources, rate);
  for (const int grid : kAutomaticGrids) {
    if (grid % needed == 0) return grid;
  }
  std::array<double, kFallbackGrids.size()> shares;
  std::ranges::transform(kFallbackGrids, shares.begin(),
                         [&](int grid) { return share_on(sources, rate, grid); });
  const double best = std::ranges::max(shares);
  if (best < 0.9) return kFallbackGrids.front();  // a performance
  const auto* first = std::ranges::find_if(shares, [&](double s) { return s >= best - 0.02; });
  return kFallbackGrids[static_cast<size_t>(first - shares.begin())];
}

// The first barline at or after the end of a track that begins on a barline at tick 0.
Ticks barline_after(const Score& score, const Track& track) {
  const Ticks end = track.events.back().tick;
  if (end >= kMaxTicks)
    throw LimitError(score.name, fmt::format("{} ticks long, beyond the limit of {}", end.count,
                                             kMaxTicks.count));
  Meter meter;
  Ticks begin;
  for (const Event& event : track.events) {
    const auto other = meter_of(score, event);
    if (!other) continue;
    meter = *other;
    begin = event.tick;
  }
  const Rate rate = rate_of(score.division);
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  // A bar is above / below ticks.
  const int64_t above = int64_t{4} * meter.beats * rate.below;
  const int64_t below = int64_t{meter.beat_type} * rate.above;
  const int64_t bars = up((end - begin).count * below, above);
  return begin + Ticks{up(bars * above, below)};
}

// The tracks of a file of format 2, which are pieces of their own.
Score one_after_another(const Score& score) {
  constexpr uint8_t kUsualTempo[] = {0x07, 0xA1, 0x20};  // half a second
  constexpr uint8_t kUsualMeter[] = {4, 2, 24, 8};
  Score result = score;
  Ticks start;
  for (size_t i = 0; i < score.tracks.size(); ++i) {
    const auto& events = score.tracks[i].events;
    if (events.empty()) continue;
    auto& moved = result.tracks[i].events;
    moved.clear();
    if (start > Ticks{}) {
      Event usual;
      usual.tick = start;
      usual.a = meta::set_tempo;
      result.add(i, usual, kUsualTempo);
      usual.a = meta::time_signature;
      result.add(i, usual, kUsualMeter);
    }
    for (Event event : events) {
      event.tick += start;
      moved.push_back(event);
    }
    start += barline_after(score, score.tracks[i]);
  }
  return result;
}

class Quantiser {
 public:
  Quantiser(const Score& score, const GridOptions& options)
      : score_(score), options_(options), rate_(rate_of(score.division)) {}

  GridScore music() {
    auto sources = instruments(score_);
    if (options_.pedal == Pedal::extend) {
      for (Instrument& source : sources) source.notes = pedalled_notes(source);
    }
    music_.name = score_.name;
    music_.grid = options_.grid == 0 ? automatic_grid(sources, rate_) : options_.grid;
    column_ = kGridTicks / music_.grid;
    gather(sources);
    for (GridPart& part : music_.parts) part.two_staves = part.hands.size() == 2 || keyboard(part);
    give_channels();
    tempi_and_meters();
    keys();
    title();
    music_.moved = Quarters(moved_, kGridTicks * rate_.below);
    return std::move(music_);
  }

 private:
  using Sources = std::vector<const Instrument*>;

  // --- time

  // Half a column and more goes up.
  Ticks on_grid(Ticks tick, int column) const {
    const int64_t above = tick.count * rate_.above * (kGridTicks / column);
    return {(2 * above + rate_.below) / (2 * rate_.below) * column};
  }

  Note on_grid(const Note& note) {
    Note result = note;
    result.start = on_grid(note.start, column_);
    result.end = std::max(on_grid(note.end, column_), result.start + Ticks{column_});
    tell_move(note.start, result.start);
    tell_move(note.end, result.end);
    return result;
  }

  void tell_move(Ticks from, Ticks to) {
    const int64_t by = to.count * rate_.below - from.count * rate_.above * kGridTicks;
    moved_ = std::max(moved_, std::abs(by));
  }

  // --- parts

  static bool keyboard(const GridPart& part) {
    constexpr int kHarp = 46;
    return part.channel != 9 && (part.program < 24 || part.program == kHarp);
  }

  static bool piano(const Sources& sources) {
    return sources.size() == 1 && !sources[0]->is_drum() && sources[0]->program < 8;
  }

  // Not where one begins when the other is over.
  bool tracks_are_hands() const { return score_.format != 2; }

  // The instruments of each part, in the order of their first.
  std::vector<Sources> grouped(const std::vector<Instrument>& all) const {
    std::vector<Sources> groups;
    for (const Instrument& source : all) {
      const auto group = std::ranges::find_if(groups, [&](const Sources& g) {
        return g[0]->channel == source.channel && g[0]->program == source.program;
      });
      if (group == groups.end()) {
        groups.push_back({&source});
      } else {
        group->push_back(&source);
      }
    }
    if (tracks_are_hands() && groups.size() == 2 && piano(groups[0]) && piano(groups[1]) &&
        groups[0][0]->track != groups[1][0]->track)
      groups = {{groups[0][0], groups[1][0]}};
    return groups;
  }

  void gather(const std::vector<Instrument>& all) {
    for (const Sources& sources : grouped(all)) {
      GridPart part;
      part.program = sources[0]->program;
      part.channel = sources[0]->channel;
      part.name = part_name(*sources[0]);
      std::set<int> tracks;
      for (const Instrument* source : sources) tracks.insert(source->track);
      const bool by_track = tracks_are_hands() && tracks.size() == 2 && part.channel != 9;
      part.hands.resize(by_track ? 2 : 1);
      for (const Instrument* source : sources) {
        auto& hand = part.hands[by_track && source->track != *tracks.begin() ? 1 : 0];
        for (const Note& note : source->notes) hand.push_back(on_grid(note));
      }
      if (by_track && mean_pitch(part.hands[0]) < mean_pitch(part.hands[1]))
        std::swap(part.hands[0], part.hands[1]);
      for (auto& hand : part.hands) one_at_a_time(hand);
      if (options_.pedal == Pedal::compat) part.pedal = pedal(sources);
      music_.parts.push_back(std::move(part));
      tracks_.push_back(std::move(tracks));
    }
  }

  static double mean_pitch(const std::vector<Note>& notes) {
    double sum = 0;
    for (const Note& note : notes) sum += note.pitch;
    return notes.empty() ? 0 : sum / static_cast<double>(notes.size());
  }

  void one_at_a_time(std::vector<Note>& notes) {
    const auto pitch_then_time = [](const Note& a, const Note& b) {
      return std::tie(a.pitch, a.start, a.end) < std::tie(b.pitch, b.start, b.end);
    };
    std::ranges::sort(notes, pitch_then_time);
    std::vector<Note> kept;
    kept.reserve(notes.size());
    for (Note& note : notes) {
      if (kept.empty() || kept.back().pitch != note.pitch || kept.back().end <= note.start) {
        kept.push_back(note);
        continue;
      }
      ++music_.merged;
      Note& before = kept.back();
      const Ticks end = std::max(before.end, note.end);
      if (before.start == note.start) {
        before.end = end;
        before.velocity = std::max(before.velocity, note.velocity);
      } else {
        before.end = note.start;
        note.end = end;
        kept.push_back(note);
      }
    }
    std::ranges::sort(kept, [](const Note& a, const Note& b) {
      return std::tie(a.start, b.pitch) < std::tie(b.start, a.pitch);
    });
    notes = std::move(kept);
  }

  // What all controllers of a part make of its pedal, up to its last note.
  std::vector<PedalChange> pedal(const Sources& sources) const {
    std::vector<TimedValue> controls;
    std::set<const Controllers*> seen;
    Ticks end;
    for (const Instrument* source : sources) {
      for (const Note& note : source->notes) end = std::max(end, note.end);
      if (!seen.insert(source->controllers.get()).second) continue;
      for (const TimedValue& control : source->controllers->controls)
        if (control.number == kSustainPedal) controls.push_back(control);
    }
    std::ranges::stable_sort(controls, {}, &TimedValue::tick);
    std::vector<PedalChange> changes;
    for (const TimedValue& control : controls) {
      const bool down = control.value >= kPedalDown;
      const Ticks tick = std::min(on_grid(control.tick, column_), on_grid(end, column_));
      if (down == (!changes.empty() && changes.back().down)) continue;
      // Down and up again within a column: nothing.
      if (!down && changes.back().tick == tick) {
        changes.pop_back();
      } else {
        changes.push_back({tick, down});
      }
    }
    if (!changes.empty() && changes.back().down) {
      if (changes.back().tick == on_grid(end, column_)) {
        changes.pop_back();
      } else {
        changes.push_back({on_grid(end, column_), false});
      }
    }
    return changes;
  }

  // Each part has a channel to itself while there are enough: its program holds for the channel.
  void give_channels() {
    std::set<int> taken = {9};
    for (GridPart& part : music_.parts) {
      if (part.channel == 9 || taken.insert(part.channel).second) continue;
      for (int channel = 0; channel < 16; ++channel) {
        if (!taken.insert(channel).second) continue;
        part.channel = channel;
        break;
      }
    }
  }

  // --- what stands beside the notes

  template <class Change, class Value>
  static void add(std::vector<Change>& changes, Ticks tick, Value value, Value Change::*member) {
    if (!changes.empty() && changes.back().tick == tick) changes.pop_back();
    if (changes.empty() || changes.back().*member != value) changes.push_back({tick, value});
  }

  std::vector<const Event*> metas(uint8_t type) const {
    std::vector<const Event*> events;
    for (const Track& track : score_.tracks) {
      for (const Event& event : track.events)
        if (event.is_meta(type)) events.push_back(&event);
    }
    std::ranges::stable_sort(events, {}, &Event::tick);
    return events;
  }

  void tempi_and_meters() {
    for (const Event* event : metas(meta::set_tempo)) {
      if (const int tempo = tempo_of(score_, *event))
        add(music_.tempi, on_grid(event->tick, column_), tempo, &TempoChange::tempo);
    }
    music_.meters.push_back({{}, {}});
    for (const Event* event : metas(meta::time_signature)) {
      if (const auto meter = meter_of(score_, *event))
        add(music_.meters, on_grid(event->tick, 1), *meter, &MeterChange::meter);
    }
  }

  std::vector<KeyChange> keys_in(const std::set<int>& tracks) const {
    std::vector<KeyChange> keys;
    for (const int track : tracks) {
      for (const Event& event : score_.tracks[static_cast<size_t>(track)].events) {
        if (const auto key = key_of(score_, event)) keys.push_back({on_grid(event.tick, 1), *key});
      }
    }
    std::ranges::stable_sort(keys, {}, &KeyChange::tick);
    std::vector<KeyChange> changes;
    for (const KeyChange& change : keys) add(changes, change.tick, change.key, &KeyChange::key);
    return changes;
  }

  void keys() {
    std::set<int> all;
    for (size_t i = 0; i < score_.tracks.size(); ++i) all.insert(static_cast<int>(i));
    const auto anywhere = keys_in(all);
    std::optional<Key> estimated;
    for (size_t i = 0; i < music_.parts.size(); ++i) {
      auto& keys = music_.parts[i].keys = keys_in(tracks_[i]);
      if (keys.empty()) keys = anywhere;
      if (!keys.empty() && keys[0].tick == Ticks{}) continue;
      if (!estimated) estimated = estimate();
      // Before the first key signature, the first holds.
      if (keys.empty()) {
        keys.push_back({{}, *estimated});
      } else {
        keys[0].tick = {};
      }
    }
  }

  Key estimate() const {
    std::array<double, 12> durations{};
    for (const GridPart& part : music_.parts) {
      if (part.channel == 9) continue;
      for (const auto& hand : part.hands) {
        for (const Note& note : hand)
          durations[note.pitch % 12] += static_cast<double>((note.end - note.start).count);
      }
    }
    return estimate_key(durations);
  }

  // --- names

  // The first track's name is the piece's, unless that track is one part of several.
  bool first_track_names_piece() const {
    return std::ranges::none_of(tracks_, [&](const auto& t) { return t.contains(0); }) ||
           (tracks_.size() == 1 && tracks_[0].size() == 1);
  }

  void title() {
    const bool first = first_track_names_piece();
    music_.title = to_utf8(bytes_of(options_.title));
    if (music_.title.empty() && first && !score_.tracks.empty())
      music_.title = name_of_track(score_, 0);
    if (first && tracks_.size() == 1 && tracks_[0].contains(0)) {
      GridPart& part = music_.parts[0];
      part.name = instrument_family(part.program, part.channel);
    }
  }

  std::string part_name(const Instrument& source) const {
    const std::string name = name_of_track(score_, static_cast<size_t>(source.track));
    return name.empty() ? instrument_family(source.program, source.channel) : name;
  }

  const Score& score_;
  const GridOptions& options_;
  const Rate rate_;
  int column_ = 1;
  int64_t moved_ = 0;  // in 1 / (kGridTicks * rate_.below) of a quarter
  GridScore music_;
  std::vector<std::set<int>> tracks_;  // of each part
};

}  // namespace

GridScore quantise(const Score& score, const GridOptions& options) {
  if (options.grid != 0 &&
      std::ranges::find(kAutomaticGrids, options.grid) == kAutomaticGrids.end())
    throw std::invalid_argument(fmt::format("a grid of {} columns a quarter note", options.grid));
  if (score.format == 2) return Quantiser(one_after_another(score), options).music();
  return Quantiser(score, options).music();
}

}  // namespace etude::midi
