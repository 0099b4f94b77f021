#include "midi/meta_events.h"

#include "midi/text.h"

namespace etude::midi {

std::optional<Meter> meter_of(const Score& score, const Event& event) {
  if (!event.is_meta(meta::time_signature)) return std::nullopt;
  const auto bytes = score.bytes(event);
  if (bytes.size() < 2 || bytes[0] == 0 || bytes[1] > 6) return std::nullopt;
  return Meter{bytes[0], 1 << bytes[1]};
}

std::optional<Key> key_of(const Score& score, const Event& event) {
  if (!event.is_meta(meta::key_signature)) return std::nullopt;
  const auto bytes = score.bytes(event);
  if (bytes.size() < 2 || bytes[1] > 1) return std::nullopt;
  const int fifths = static_cast<int8_t>(bytes[0]);
  if (fifths < -7 || fifths > 7) return std::nullopt;
  return Key{fifths, bytes[1] == 1};
}

std::string name_of_track(const Score& score, size_t track) {
  for (const Event& event : score.tracks[track].events)
    if (event.is_meta(meta::track_name)) return to_utf8(score.bytes(event));
  return {};
}

}  // namespace etude::midi
