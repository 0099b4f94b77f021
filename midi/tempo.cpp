#include "midi/tempo.h"

#include <algorithm>
#include <utility>

namespace etude::midi {

TempoMap::TempoMap(const Division& division) : ticks_per_quarter_(division.ticks_per_quarter) {
  const double scale =
      division.smpte() ? 1.0 / division.ticks_per_second() : 60.0 / (120.0 * ticks_per_quarter_);
  changes_.push_back({0, 0.0, scale});
}

void TempoMap::add(std::int64_t tick, int tempo) {
  if (tempo == 0 || ticks_per_quarter_ == 0) return;
  const double scale = 60.0 / ((6e7 / tempo) * ticks_per_quarter_);
  if (tick == 0) {
    changes_.assign(1, {0, 0.0, scale});
  } else if (scale != changes_.back().scale) {
    changes_.push_back({tick, seconds(tick), scale});
  }
}

TempoMap TempoMap::of_track(const Score& score, std::size_t track) {
  TempoMap map(score.division);
  for (const Event& event : score.tracks.at(track).events)
    map.add(event.tick, tempo_of(score, event));
  return map;
}

TempoMap TempoMap::of_all_tracks(const Score& score) {
  std::vector<std::pair<std::int64_t, int>> tempi;
  for (const Track& track : score.tracks) {
    for (const Event& event : track.events) {
      if (const int tempo = tempo_of(score, event)) tempi.emplace_back(event.tick, tempo);
    }
  }
  std::ranges::stable_sort(tempi, {}, &std::pair<std::int64_t, int>::first);
  TempoMap map(score.division);
  for (const auto& [tick, tempo] : tempi) map.add(tick, tempo);
  return map;
}

double TempoMap::seconds(std::int64_t tick) const {
  const auto after = std::ranges::upper_bound(changes_, tick, {}, &Change::tick);
  const Change& change = *std::prev(after);
  return change.time + change.scale * static_cast<double>(tick - change.tick);
}

}  // namespace etude::midi
