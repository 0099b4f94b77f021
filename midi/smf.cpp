#include "midi/smf.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "midi/error.h"
#include "midi/files.h"

namespace etude::midi {
namespace {

using Bytes = std::span<const uint8_t>;

uint32_t big_endian(Bytes bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[at + static_cast<size_t>(i)];
  return value;
}

bool has_id(Bytes bytes, size_t at, std::string_view id) {
  return bytes.size() - at >= id.size() &&
         std::equal(id.begin(), id.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

// Data bytes of a channel message, by the upper half of its status.
int data_bytes(uint8_t status) { return (status & 0xE0) == 0xC0 ? 1 : 2; }

// Data bytes of the system messages that have no place in a file.
int stray_bytes(uint8_t status) {
  if (status == 0xF2) return 2;
  return status == 0xF1 || status == 0xF3 ? 1 : 0;
}

// Thrown at damage inside a track; the track's reader decides what becomes of it.
struct Damaged {
  size_t offset;
  std::string reason;
};

class Parser {
 public:
  // Offsets are those of `bytes`, the whole file; [begin, end) is the part that holds the SMF.
  Parser(Bytes bytes, size_t begin, size_t end, Damage damage, Score& score)
      : bytes_(bytes.first(end)), at_(begin), damage_(damage), score_(score) {}

  void file() {
    header();
    while (bytes_.size() - at_ >= 8) {
      if (!chunk()) break;
    }
    if (at_ < bytes_.size()) {
      note(at_, fmt::format("{} trailing bytes after the last chunk", bytes_.size() - at_));
    }
    const auto found = score_.tracks.size();
    if (found == 0) throw Error::at(score_.name, at_, "no track (MTrk chunk) in the file");
    if (found < static_cast<size_t>(score_.tracks_declared)) {
      suspect(at_, fmt::format("header says {} tracks, {} found", score_.tracks_declared, found));
    } else if (found > static_cast<size_t>(score_.tracks_declared)) {
      note(at_, fmt::format("header says {} tracks, {} found", score_.tracks_declared, found));
    }
    if (score_.format == 0 && found > 1) note(at_, "format 0 with more than one track");
  }

 private:
  void header() {
    const size_t start = at_;
    if (bytes_.size() == start) throw Error::at(score_.name, start, "the file is empty");
    if (!has_id(bytes_, start, "MThd")) {
      throw Error::at(score_.name, start, "not a MIDI file: it does not begin with MThd");
    }
    if (bytes_.size() - start < 14) {
      throw Error::at(score_.name, bytes_.size(), "the file ends inside its header");
    }
    const uint32_t length = big_endian(bytes_, start + 4, 4);
    if (length < 6) {
      throw Error::at(score_.name, start + 4, fmt::format("header length {} is below 6", length));
    }
    if (length > bytes_.size() - start - 8) {
      throw Error::at(score_.name, start + 4,
                      fmt::format("header length {} runs past the file", length));
    }
    score_.format = static_cast<int>(big_endian(bytes_, start + 8, 2));
    if (score_.format > 2) {
      note(start + 8, fmt::format("format {} is not 0, 1 or 2", score_.format));
    }
    score_.tracks_declared = static_cast<int>(big_endian(bytes_, start + 10, 2));
    division(start + 12);
    if (length > 6) note(start + 14, fmt::format("{} extra header bytes skipped", length - 6));
    at_ = start + 8 + length;
  }

  void division(size_t at) {
    const auto word = static_cast<int>(big_endian(bytes_, at, 2));
    if (word == 0) throw Error::at(score_.name, at, "ticks per quarter note is 0");
    if (word < 0x8000) {
      score_.division.ticks_per_quarter = word;
      return;
    }
    const int code = 256 - (word >> 8);
    const int ticks = word & 0xFF;
    if ((code != 24 && code != 25 && code != 29 && code != 30) || ticks == 0) {
      throw Error::at(
          score_.name, at,
          fmt::format("SMPTE division of {} frames a second with {} ticks", code, ticks));
    }
    score_.division = {.ticks_per_quarter = 0, .frame_code = code, .ticks_per_frame = ticks};
  }

  // One chunk from at_ on; false when what is there is no chunk.
  bool chunk() {
    const auto id = bytes_.subspan(at_, 4);
    if (!std::ranges::all_of(id, [](uint8_t c) { return c >= 0x20 && c < 0x7F; })) return false;
    const size_t length = big_endian(bytes_, at_ + 4, 4);
    const size_t begin = at_ + 8;
    const size_t there = bytes_.size() - begin;
    const bool is_track = has_id(bytes_, at_, "MTrk");
    if (is_track && length > there) {
      suspect(at_ + 4, fmt::format("track length runs {} bytes past the file", length - there));
    }
    if (!is_track) {
      note(at_, fmt::format("unknown chunk '{}' skipped", std::string(id.begin(), id.end())));
    }
    at_ = begin;
    if (is_track) track(begin + std::min(length, there));
    at_ = begin + std::min(length, there);
    return true;
  }

  void track(size_t end) {
    if (score_.tracks.size() == kMaxTracks) {
      throw LimitError(score_.name,
                       fmt::format("byte {}: more than {} tracks are not read", at_, kMaxTracks));
    }
    end_ = end;
    status_ = 0;
    tick_ = 0;
    score_.tracks.emplace_back();
    events_ = &score_.tracks.back().events;
    events_->reserve((end - at_) / 4);
    try {
      while (at_ < end_) {
        event();
        if (!events_->empty() && events_->back().is_meta(meta::end_of_track)) {
          if (at_ < end_) note(at_, fmt::format("{} bytes after End of Track", end_ - at_));
          return;
        }
      }
      note(end_, "no End of Track");
    } catch (const Damaged& damaged) {
      suspect(damaged.offset, damaged.reason);
    }
  }

  void event() {
    tick_ += number();
    const size_t start = at_;
    uint8_t status = byte("an event");
    if (status < 0x80) {
      if (status_ == 0) {
        throw Damaged{start, fmt::format("data byte {:02x} where a status byte must be", status)};
      }
      --at_;
      status = status_;
      if (mended_status_) {
        note(start, "running status kept across a meta or sysex event");
        mended_status_ = false;
      }
    }
    if (status < 0xF0) {
      status_ = status;
      mended_status_ = false;
      channel_message(status, start);
    } else if (status == 0xF0 || status == 0xF7 || status == 0xFF) {
      mended_status_ = true;
      long_event(status, start);
    } else {
      note(start, fmt::format("status {:02x}, not legal in a file, skipped", status));
      for (int i = stray_bytes(status); i > 0; --i) data();
    }
  }

  void channel_message(uint8_t status, size_t start) {
    Event event = made(static_cast<EventKind>(status & 0xF0), start);
    event.channel = status & 0x0F;
    event.a = data();
    if (data_bytes(status) == 2) event.b = data();
    push(event);
  }

  void long_event(uint8_t status, size_t start) {
    Event event = made(static_cast<EventKind>(status), start);
    if (status == 0xFF) event.a = byte("a meta event");
    const auto size = static_cast<size_t>(number());
    if (size > end_ - at_) throw Damaged{at_, "the track ends inside a meta or sysex event"};
    event.payload = static_cast<uint32_t>(score_.payload.size());
    event.size = static_cast<uint32_t>(size);
    const auto content = bytes_.subspan(at_, size);
    score_.payload.insert(score_.payload.end(), content.begin(), content.end());
    at_ += size;
    if (event.is_meta(meta::set_tempo) && tempo_of(score_, event) == 0) {
      note(start, "tempo event without a usable tempo ignored");
    }
    push(event);
  }

  Event made(EventKind kind, size_t start) const {
    Event event;
    event.tick = tick_;
    event.offset = static_cast<uint32_t>(start);
    event.kind = kind;
    return event;
  }

  void push(const Event& event) {
    if (++count_ > kMaxEvents) {
      throw LimitError(score_.name, fmt::format("byte {}: more than {} events are not read",
                                                event.offset, kMaxEvents));
    }
    events_->push_back(event);
  }

  uint8_t byte(const char* inside) {
    if (at_ == end_) throw Damaged{at_, fmt::format("the track ends inside {}", inside)};
    return bytes_[at_++];
  }

  uint8_t data() {
    const uint8_t value = byte("a channel message");
    if (value > 127) throw Damaged{at_ - 1, fmt::format("data byte {} above 127", value)};
    return value;
  }

  int64_t number() {
    const size_t start = at_;
    int64_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const uint8_t part = byte("a variable-length number");
      value = value << 7 | (part & 0x7F);
      if (part < 0x80) return value;
    }
    throw Damaged{start, "variable-length number of more than 4 bytes"};
  }

  // A file of strays could otherwise make more text than it has bytes.
  void note(size_t offset, std::string what) {
    if (score_.found.size() < 100) score_.found.push_back({offset, std::move(what)});
  }

  void suspect(size_t offset, const std::string& what) {
    if (damage_ == Damage::refuse) throw Error::at(score_.name, offset, what);
    note(offset, "damage: " + what);
  }

  Bytes bytes_;
  size_t at_;
  Damage damage_;
  Score& score_;

  // The track being read.
  size_t end_ = 0;
  std::vector<Event>* events_ = nullptr;
  uint8_t status_ = 0;          // running status, 0: none
  bool mended_status_ = false;  // a meta or sysex event, which cancels it by the letter, came since
  int64_t tick_ = 0;            // 64 MiB of the longest deltas stay below 2^53
  size_t count_ = 0;            // events of the whole file
};

// RIFF: "RIFF" size "RMID" then chunks of id and little-endian size, padded to even; "data" is the
// SMF.
bool find_rmid(Bytes bytes, const std::string& name, size_t& begin, size_t& end) {
  if (!has_id(bytes, 0, "RIFF")) return false;
  if (bytes.size() < 12 || !has_id(bytes, 8, "RMID")) {
    throw Error::at(name, 0, "not a MIDI file: a RIFF file that is not RMID");
  }
  size_t at = 12;
  while (bytes.size() - at >= 8) {
    size_t size = 0;
    for (size_t i = 4; i > 0; --i) size = size << 8 | bytes[at + 3 + i];
    const size_t there = bytes.size() - at - 8;
    if (has_id(bytes, at, "data")) {
      begin = at + 8;
      end = begin + std::min(size, there);
      return true;
    }
    if (size + (size & 1) > there) break;
    at += 8 + size + (size & 1);
  }
  throw Error::at(name, at, "RIFF RMID without a data chunk");
}

}  // namespace

Score parse_score(Bytes bytes, const std::string& name, Damage damage) {
  if (bytes.size() > kMaxFileBytes) {
    throw LimitError(
        name, fmt::format("{} bytes, more than {} are not read", bytes.size(), kMaxFileBytes));
  }
  Score score;
  score.name = name;
  size_t begin = 0;
  size_t end = bytes.size();
  if (find_rmid(bytes, name, begin, end)) score.found.push_back({0, "RIFF RMID wrapper removed"});
  Parser(bytes, begin, end, damage, score).file();
  return score;
}

Score read_score(const std::filesystem::path& path, Damage damage) {
  return parse_score(read_file(path, kMaxFileBytes), path.string(), damage);
}

}  // namespace etude::midi
