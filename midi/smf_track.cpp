#include "midi/smf_track.h"

#include <fmt/format.h>

#include <algorithm>

#include "midi/error.h"

namespace etude::midi {
namespace {

// Thrown at damage inside a track; read() decides what becomes of it.
struct Damaged {
  size_t offset;
  std::string reason;
};

constexpr size_t kMostReserved = size_t{1} << 20;  // events, for a track that has not been read

// Whether a channel message has a second data byte, by its status.
bool has_second(uint8_t status) { return (status & 0xE0) != 0xC0; }

// Data bytes of the system messages that have no place in a file.
int stray_bytes(uint8_t status) {
  if (status == 0xF2) return 2;
  return status == 0xF1 || status == 0xF3 ? 1 : 0;
}

}  // namespace

void Findings::tell(Deviation kind, size_t offset, const std::string& what) {
  if (score_.found.size() < kMaxFindings) score_.found.push_back({kind, offset, what});
}

void Findings::tolerate(Deviation kind, size_t offset, const std::string& what) {
  if (reading_ == Reading::strict) throw Error::at(score_.name, offset, what);
  tell(kind, offset, what);
}

void Findings::damage(size_t offset, const std::string& what) {
  if (reading_ != Reading::recover)
    throw DamageError(score_.name, fmt::format("byte {}: {}", offset, what));
  tell(Deviation::damage, offset, "damage: " + what);
}

TrackReader::End TrackReader::read_events(size_t begin, size_t end) {
  if (score_.tracks.size() == kMaxTracks) {
    throw LimitError(score_.name,
                     fmt::format("byte {}: more than {} tracks are not read", begin, kMaxTracks));
  }
  at_ = begin;
  end_ = end;
  status_ = 0;
  mended_status_ = false;
  tick_ = 0;
  payload_before_ = score_.payload.size();
  found_before_ = score_.found.size();
  score_.tracks.emplace_back();
  events_ = &score_.tracks.back().events;
  events_->reserve(std::min((end - begin) / 3, kMostReserved));
  try {
    while (at_ < end_) {
      plain_events();
      if (at_ == end_) break;
      event();
      if (!events_->empty() && events_->back().is_meta(meta::end_of_track))
        return {End::at_end_of_track, at_};
    }
  } catch (const Damaged& damaged) {
    return {End::at_damage, damaged.offset, damaged.reason};
  }
  return {End::at_end, at_};
}

// What a length promised and the track did not hold is given back: there may be 65535 of them.
TrackReader::End TrackReader::read(size_t begin, size_t end) {
  const End result = read_events(begin, end);
  if (events_->capacity() > 2 * events_->size()) events_->shrink_to_fit();
  return result;
}

void TrackReader::forget() {
  count_ -= score_.tracks.back().events.size();
  score_.tracks.pop_back();
  score_.payload.resize(payload_before_);
  score_.found.resize(found_before_);
}

// Nearly all events of nearly all files: channel messages after a delta of one or two bytes. What
// is anything else is left, whole, to event(), which reads these too.
void TrackReader::plain_events() {
  constexpr std::ptrdiff_t kLongest = 5;
  const uint8_t* const last = file_.data() + end_;
  const uint8_t* at = file_.data() + at_;
  uint8_t running = mended_status_ ? 0 : status_;
  while (last - at >= kLongest) {
    const uint8_t* next = at;
    int64_t delta = *next++;
    if (delta >= 0x80) {
      if (*next >= 0x80) break;
      delta = (delta & 0x7F) << 7 | *next++;
    }
    const auto start = static_cast<uint32_t>(next - file_.data());
    const bool with_status = *next >= 0x80;
    const uint8_t status = with_status ? *next++ : running;
    if (status < 0x80 || status >= 0xF0) break;
    const uint8_t a = *next++;
    const uint8_t b = has_second(status) ? *next++ : 0;
    if ((a | b) >= 0x80) break;
    tick_ += delta;
    running = status;
    push({.tick = {tick_},
          .offset = start,
          .kind = static_cast<EventKind>(status & 0xF0),
          .channel = static_cast<uint8_t>(status & 0x0F),
          .a = a,
          .b = b});
    at = next;
  }
  if (running != 0) {
    status_ = running;
    mended_status_ = false;
  }
  at_ = static_cast<size_t>(at - file_.data());
}

void TrackReader::event() {
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
      findings_.tolerate(Deviation::kept_running_status, start,
                         "running status kept across a meta or sysex event");
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
    findings_.tolerate(Deviation::stray_system_message, start,
                       fmt::format("status {:02x}, not legal in a file, skipped", status));
    for (int i = stray_bytes(status); i > 0; --i) data();
  }
}

void TrackReader::channel_message(uint8_t status, size_t start) {
  Event event = made(static_cast<EventKind>(status & 0xF0), start);
  event.channel = status & 0x0F;
  event.a = data();
  if (has_second(status)) event.b = data();
  push(event);
}

void TrackReader::long_event(uint8_t status, size_t start) {
  Event event = made(static_cast<EventKind>(status), start);
  if (status == 0xFF) event.a = byte("a meta event");
  const auto size = static_cast<size_t>(number());
  if (size > end_ - at_) throw Damaged{at_, "the track ends inside a meta or sysex event"};
  event.payload = static_cast<uint32_t>(score_.payload.size());
  event.size = static_cast<uint32_t>(size);
  const auto content = file_.subspan(at_, size);
  score_.payload.insert(score_.payload.end(), content.begin(), content.end());
  at_ += size;
  if (event.is_meta(meta::set_tempo) && tempo_of(score_, event) == 0) {
    findings_.tolerate(Deviation::unusable_tempo, start,
                       "tempo event without a usable tempo ignored");
  }
  push(event);
}

Event TrackReader::made(EventKind kind, size_t start) const {
  Event event;
  event.tick = {tick_};
  event.offset = static_cast<uint32_t>(start);
  event.kind = kind;
  return event;
}

void TrackReader::push(const Event& event) {
  if (++count_ > kMaxEvents) {
    throw LimitError(score_.name, fmt::format("byte {}: more than {} events are not read",
                                              event.offset, kMaxEvents));
  }
  events_->push_back(event);
}

uint8_t TrackReader::byte(const char* inside) {
  if (at_ == end_) throw Damaged{at_, fmt::format("the track ends inside {}", inside)};
  return file_[at_++];
}

uint8_t TrackReader::data() {
  const uint8_t value = byte("a channel message");
  if (value > 127) throw Damaged{at_ - 1, fmt::format("data byte {} above 127", value)};
  return value;
}

int64_t TrackReader::number() {
  const size_t start = at_;
  int64_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const uint8_t part = byte("a variable-length number");
    value = value << 7 | (part & 0x7F);
    if (part < 0x80) return value;
  }
  throw Damaged{start, "variable-length number of more than 4 bytes"};
}

}  // namespace etude::midi
