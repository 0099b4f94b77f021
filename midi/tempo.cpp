#include "midi/tempo.h"

#include <algorithm>
#include <utility>

namespace etude::midi {

TempoMap::TempoMap(const Division& division) : ticks_per_quarter_(division.ticks_per_quarter) {
  const double scale =
      division.smpte() ? 1.0 / division.ticks_per_second() : 60.0 / (120.0 * ticks_per_quarter_);
  changes_.push_back({{}, {}, scale});
}

void TempoMap::add(Ticks tick, int tempo) {
  if (tempo == 0 || ticks_per_quarter_ == 0) return;
  const double scale = 60.0 / ((6e7 / tempo) * ticks_per_quarter_);
  if (tick == Ticks{}) {
    changes_.assign(1, {{}, {}, scale});
  } else if (scale != changes_.back().scale) {
    changes_.push_back({tick, seconds(tick), scale});
  }
}

TempoMap TempoMap::of_track(const Score& score, size_t track) {
  TempoMap map(score.division);
  for (const Event& event : score.tracks.at(track).events)
    map.add(event.tick, tempo_of(score, event));
  return map;
}

TempoMap TempoMap::of_all_tracks(const Score& score) {
  std::vector<std::pair<Ticks, int>> tempi;
  for (const Track& track : score.tracks) {
    for (const Event& event : track.events) {
      if (const int tempo = tempo_of(score, event)) tempi.emplace_back(event.tick, tempo);
    }
  }
  std::ranges::stable_sort(tempi, {}, &std::pair<Ticks, int>::first);
  TempoMap map(score.division);
  for (const auto& [tick, tempo] : tempi) map.add(tick, tempo);
  return map;
}

EndTimes end_times(const Score& score) {
  EndTimes times;
  if (score.tracks.empty()) return times;
  const TempoMap common = TempoMap::of_all_tracks(score);
  const TempoMap first = TempoMap::of_track(score, 0);
  for (size_t i = 0; i < score.tracks.size(); ++i) {
    const auto& events = score.tracks[i].events;
    if (events.empty()) continue;
    const TempoMap map = score.format == 2 ? TempoMap::of_track(score, i) : common;
    const Ticks end = events.back().tick;
    times.last_event = std::max(times.last_event, map.seconds(end));
    times.last_event_by_first_track = std::max(times.last_event_by_first_track, first.seconds(end));
    const auto off = std::find_if(events.rbegin(), events.rend(),
                                  [](const Event& event) { return event.is_note_off(); });
    if (off != events.rend())
      times.last_note_off = std::max(times.last_note_off, map.seconds(off->tick));
  }
  return times;
}

Seconds TempoMap::seconds(Ticks tick) const {
  const Change* change = &changes_.back();
  if (tick < change->tick)
    change = &*std::prev(std::ranges::upper_bound(changes_, tick, {}, &Change::tick));
  return {change->time.count + change->scale * static_cast<double>((tick - change->tick).count)};
}

}  // namespace etude::midi
