#include "midi/instrument.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "midi/error.h"

namespace etude::midi {
namespace {

constexpr size_t kKeys = size_t{16} * 128;  // channel and pitch

size_t key_of(const Event& event) { return static_cast<size_t>(event.channel * 128 + event.a); }

// The notes that sound in one track, by key, the oldest first. All lie in one vector: there are few
// at a time and many in the course of a file.
class OpenNotes {
 public:
  OpenNotes() { first_.fill(kNone), last_.fill(kNone); }

  void clear() {
    first_.fill(kNone);
    pool_.clear();
  }

  void open(const Event& event) {
    const size_t key = key_of(event);
    const auto added = static_cast<int32_t>(pool_.size());
    pool_.push_back({event.tick, kNone, event.b});
    if (first_[key] == kNone) {
      first_[key] = added;
    } else {
      pool_[static_cast<size_t>(last_[key])].next = added;
    }
    last_[key] = added;
  }

  // Visits those that the note-off closes.
  template <class Visit>
  void close(const Event& event, Visit visit) {
    int32_t& first = first_[key_of(event)];
    if (first == kNone) return;
    // Ticks never decrease within a track: those of this tick are the last ones.
    int32_t i = first;
    for (; i != kNone && at(i).start < event.tick; i = at(i).next)
      visit(at(i).start, at(i).velocity);
    first = i == first ? kNone : i;
  }

 private:
  struct Open {
    Ticks start;
    int32_t next;
    uint8_t velocity;
  };
  static constexpr int32_t kNone = -1;

  const Open& at(int32_t i) const { return pool_[static_cast<size_t>(i)]; }

  std::vector<Open> pool_;
  std::array<int32_t, kKeys> first_, last_;  // in pool_
};

class Collector {
 public:
  explicit Collector(const Score& score) : score_(score) {}

  std::vector<Instrument> all() {
    for (size_t i = 0; i < score_.tracks.size(); ++i) {
      if (score_.tracks[i].events.empty()) continue;
      track_ = static_cast<int>(i);
      programs_.fill(0);
      early_.fill(nullptr);
      current_.fill(kNone);
      open_.clear();
      for (const Event& event : score_.tracks[i].events) take(event);
    }
    return std::move(result_);
  }

 private:
  void take(const Event& event) {
    switch (event.kind) {
      case EventKind::note_on:
        if (event.b > 0) {
          open_.open(event);
          return;
        }
        [[fallthrough]];
      case EventKind::note_off:
        open_.close(event, [&](Ticks start, uint8_t velocity) {
          sounding(event.channel).notes.push_back({start, event.tick, event.a, velocity});
        });
        return;
      case EventKind::control:
        controllers(event.channel).controls.push_back({event.tick, event.b, event.a});
        return;
      case EventKind::pitch_bend:
        controllers(event.channel)
            .bends.push_back({event.tick, static_cast<int16_t>(event.bend()), 0});
        return;
      case EventKind::program:
        programs_[event.channel] = event.a;
        current_[event.channel] = kNone;
        return;
      default:
        return;
    }
  }

  // The instrument of a closed note, made if this is its first.
  Instrument& sounding(size_t channel) {
    if (current_[channel] != kNone) return result_[current_[channel]];
    const auto key = std::tuple(programs_[channel], static_cast<int>(channel), track_);
    const auto [place, is_new] = index_.try_emplace(key, result_.size());
    if (is_new) {
      const auto& early = early_[channel];
      result_.push_back({std::get<0>(key),
                         std::get<1>(key),
                         track_,
                         {},
                         early ? early : std::make_shared<Controllers>()});
    }
    current_[channel] = place->second;
    return result_[place->second];
  }

  // Where a controller or a bend belongs: to the instrument that plays, if it exists yet, else to
  // those of this channel and track that are to come.
  Controllers& controllers(size_t channel) {
    if (current_[channel] == kNone) {
      const auto place = index_.find({programs_[channel], static_cast<int>(channel), track_});
      if (place == index_.end()) {
        auto& early = early_[channel];
        if (!early) early = std::make_shared<Controllers>();
        return *early;
      }
      current_[channel] = place->second;
    }
    return *result_[current_[channel]].controllers;
  }

  static constexpr size_t kNone = SIZE_MAX;

  const Score& score_;
  int track_ = 0;
  std::array<int, 16> programs_{};
  std::array<std::shared_ptr<Controllers>, 16> early_{};
  std::array<size_t, 16> current_{};  // in result_: the instrument that a channel plays, if known
  OpenNotes open_;
  std::map<std::tuple<int, int, int>, size_t> index_;  // program, channel, track
  std::vector<Instrument> result_;
};

// From each pedal-down to its pedal-up. The last may have none: then up is the instrument's end.
struct Pressed {
  Ticks down, up;
};
std::vector<Pressed> pressed(const Instrument& instrument) {
  std::vector<Pressed> all;
  const Ticks end = instrument.end();
  bool is_down = false;
  for (const TimedValue& control : instrument.controllers->controls) {
    if (control.number != kSustainPedal || is_down == (control.value >= kPedalDown)) continue;
    is_down = !is_down;
    if (is_down) {
      all.push_back({control.tick, end});
    } else {
      all.back().up = control.tick;
    }
  }
  return all;
}

// Places of one kind of doubtful note.
struct Places {
  size_t count = 0, first = 0;

  void add(size_t offset) {
    if (count++ == 0 || offset < first) first = offset;
  }
};

}  // namespace

Ticks Instrument::end() const {
  Ticks end;
  for (const Note& note : notes) end = std::max(end, note.end);
  for (const TimedValue& control : controllers->controls) end = std::max(end, control.tick);
  for (const TimedValue& bend : controllers->bends) end = std::max(end, bend.tick);
  return end;
}

std::vector<Instrument> instruments(const Score& score) {
  if (score.end_tick() >= kMaxTicks) {
    throw LimitError(score.name, fmt::format("{} ticks long, beyond the limit of {}",
                                             score.end_tick().count, kMaxTicks.count));
  }
  return Collector(score).all();
}

std::vector<Note> pedalled_notes(const Instrument& instrument) {
  const auto pedal = pressed(instrument);
  std::array<std::vector<Ticks>, 128> strikes;
  for (const Note& note : instrument.notes) strikes[note.pitch].push_back(note.start);
  for (auto& of_pitch : strikes) std::ranges::sort(of_pitch);
  std::vector<Note> notes = instrument.notes;
  for (Note& note : notes) {
    const auto after = std::ranges::upper_bound(pedal, note.end, {}, &Pressed::down);
    if (after == pedal.begin() || std::prev(after)->up <= note.end) continue;
    Ticks end = std::prev(after)->up;
    const auto next = std::ranges::upper_bound(strikes[note.pitch], note.start);
    if (next != strikes[note.pitch].end()) end = std::min(end, *next);
    note.end = std::max(note.end, end);
  }
  return notes;
}

std::vector<Finding> doubtful_notes(const Score& score) {
  Places overlapping, unclosed, empty;
  std::array<std::vector<const Event*>, kKeys> open;
  std::vector<size_t> touched;
  for (const Track& track : score.tracks) {
    for (const Event& event : track.events) {
      const bool on = event.is_note_on();
      if (!on && !event.is_note_off()) continue;
      auto& notes = open[key_of(event)];
      if (on) {
        if (!notes.empty()) overlapping.add(event.offset);
        notes.push_back(&event);
        touched.push_back(key_of(event));
        continue;
      }
      const auto now = std::ranges::find(notes, event.tick, &Event::tick);
      if (now == notes.begin()) {
        for (const Event* note : notes) empty.add(note->offset);
        notes.clear();
      } else {
        notes.erase(notes.begin(), now);  // the others go on
      }
    }
    for (const size_t key : touched) {
      for (const Event* note : open[key]) unclosed.add(note->offset);
      open[key].clear();
    }
    touched.clear();
  }
  std::vector<Finding> found;
  const auto tell = [&](const Places& places, Deviation kind, const char* what) {
    if (places.count == 0) return;
    const std::string more = places.count == 1 ? "" : fmt::format(" ({} in all)", places.count);
    found.push_back({kind, places.first, what + more});
  };
  tell(overlapping, Deviation::overlapping_notes, "a note struck while it sounds");
  tell(unclosed, Deviation::unclosed_note, "a note never closed");
  tell(empty, Deviation::zero_length_note, "a note closed on the tick on which it began");
  return found;
}

const char* instrument_family(int program, int channel) {
  constexpr std::array kFamilies = {"Piano",      "Chromatic percussion",
                                    "Organ",      "Guitar",
                                    "Bass",       "Strings",
                                    "Ensemble",   "Brass",
                                    "Reed",       "Pipe",
                                    "Lead",       "Pad",
                                    "Effects",    "Ethnic",
                                    "Percussion", "Sounds"};
  return channel == 9 ? "Drums" : kFamilies[static_cast<size_t>(program / 8)];
}

}  // namespace etude::midi
