#include "midi/score.h"

#include <algorithm>

namespace etude::midi {

void Score::add(size_t track, Event event, std::span<const uint8_t> bytes) {
  event.payload = static_cast<uint32_t>(payload.size());
  event.size = static_cast<uint32_t>(bytes.size());
  payload.insert(payload.end(), bytes.begin(), bytes.end());
  tracks[track].events.push_back(event);
}

Ticks Score::end_tick() const {
  Ticks last;
  for (const Track& track : tracks) {
    if (!track.events.empty()) last = std::max(last, track.events.back().tick);
  }
  return last;
}

int64_t Score::note_ons() const {
  int64_t count = 0;
  for (const Track& track : tracks) {
    count += std::ranges::count_if(track.events, &Event::is_note_on);
  }
  return count;
}

int tempo_of(const Score& score, const Event& event) {
  if (!event.is_meta(meta::set_tempo) || event.size < 3) return 0;
  const auto bytes = score.bytes(event);
  return bytes[0] << 16 | bytes[1] << 8 | bytes[2];
}

}  // namespace etude::midi
