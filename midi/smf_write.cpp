#include "midi/smf_write.h"

#include <fmt/format.h>

#include <string_view>

#include "midi/error.h"

namespace etude::midi {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr int64_t kMaxNumber = (1 << 28) - 1;

// (Not insert(): GCC 12 then warns of an overflow that is none.)
void put_text(Bytes& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<uint8_t>(c));
}

void put_big_endian(Bytes& out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>(value >> shift));
  }
}

void put_number(Bytes& out, int64_t value) {
  int shift = 21;
  while (shift > 0 && value >> shift == 0) shift -= 7;
  for (; shift > 0; shift -= 7) out.push_back(static_cast<uint8_t>(0x80 | (value >> shift & 0x7F)));
  out.push_back(static_cast<uint8_t>(value & 0x7F));
}

void put_event(Bytes& out, const Score& score, const Event& event) {
  const auto status = static_cast<uint8_t>(event.kind);
  if (status < 0xF0) {
    out.push_back(static_cast<uint8_t>(status | (event.channel & 0x0F)));
    out.push_back(event.a & 0x7F);
    if (event.kind != EventKind::program && event.kind != EventKind::channel_pressure) {
      out.push_back(event.b & 0x7F);
    }
    return;
  }
  out.push_back(status);
  if (event.kind == EventKind::meta) out.push_back(event.a);
  if (event.size > kMaxNumber) throw Error(score.name, "an event of more than 2^28 - 1 bytes");
  put_number(out, event.size);
  const auto bytes = score.bytes(event);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes track_bytes(const Score& score, const Track& track) {
  Bytes out;
  Ticks tick;
  bool ended = false;
  for (const Event& event : track.events) {
    const int64_t delta = (event.tick - tick).count;
    if (delta < 0 || delta > kMaxNumber) {
      throw Error(score.name, fmt::format("tick {} after tick {} cannot be written",
                                          event.tick.count, tick.count));
    }
    put_number(out, delta);
    put_event(out, score, event);
    tick = event.tick;
    ended = event.is_meta(meta::end_of_track);
    if (ended) break;
  }
  if (!ended) out.insert(out.end(), {0x00, 0xFF, meta::end_of_track, 0x00});
  return out;
}

}  // namespace

std::vector<uint8_t> write_smf(const Score& score) {
  if (score.tracks.size() > 0xFFFF) throw Error(score.name, "more than 65535 tracks");
  Bytes out;
  put_text(out, "MThd");
  put_big_endian(out, 6, 4);
  put_big_endian(out, static_cast<unsigned>(score.format), 2);
  put_big_endian(out, score.tracks.size(), 2);
  const Division& division = score.division;
  if (division.smpte()) {
    put_big_endian(out, static_cast<unsigned>(256 - division.frame_code), 1);
    put_big_endian(out, static_cast<unsigned>(division.ticks_per_frame), 1);
  } else {
    put_big_endian(out, static_cast<unsigned>(division.ticks_per_quarter), 2);
  }
  for (const Track& track : score.tracks) {
    const Bytes content = track_bytes(score, track);
    put_text(out, "MTrk");
    put_big_endian(out, content.size(), 4);
    out.insert(out.end(), content.begin(), content.end());
  }
  return out;
}

}  // namespace etude::midi
