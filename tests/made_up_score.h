#pragma once

// Scores for tests, note by note.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "midi/score.h"

namespace etude::tests {

struct MadeUpNote {
  int64_t start, end;  // ticks
  int pitch;
  int velocity = 80, track = 0, channel = 0;
};

class MadeUpScore {
 public:
  explicit MadeUpScore(int ticks_per_quarter = 480) {
    score_.name = "made up";
    score_.division.ticks_per_quarter = ticks_per_quarter;
  }

  MadeUpScore& notes(const std::vector<MadeUpNote>& notes) {
    for (const MadeUpNote& note : notes) {
      channel(note.start, midi::EventKind::note_on, note.channel, note.pitch, note.velocity,
              note.track);
      channel(note.end, midi::EventKind::note_off, note.channel, note.pitch, 0, note.track);
    }
    return *this;
  }
  MadeUpScore& channel(int64_t tick, midi::EventKind kind, int channel, int a, int b,
                       int track = 0) {
    midi::Event event;
    event.tick = {tick};
    event.kind = kind;
    event.channel = static_cast<uint8_t>(channel);
    event.a = static_cast<uint8_t>(a);
    event.b = static_cast<uint8_t>(b);
    events(track).push_back(event);
    return *this;
  }
  MadeUpScore& pedal(int64_t tick, bool down, int track = 0) {
    return channel(tick, midi::EventKind::control, 0, 64, down ? 127 : 0, track);
  }
  MadeUpScore& meta(int64_t tick, uint8_t type, const std::vector<int>& values, int track = 0) {
    events(track);
    midi::Event event;
    event.tick = {tick};
    event.a = type;
    std::vector<uint8_t> bytes;
    for (const int value : values) bytes.push_back(static_cast<uint8_t>(value));
    score_.add(static_cast<size_t>(track), event, bytes);
    return *this;
  }
  MadeUpScore& meter(int64_t tick, int beats, int log_of_type) {
    return meta(tick, midi::meta::time_signature, {beats, log_of_type, 24, 8});
  }
  MadeUpScore& tempo(int64_t tick, int tempo) {
    return meta(tick, midi::meta::set_tempo, {tempo >> 16, tempo >> 8, tempo});
  }
  MadeUpScore& key(int64_t tick, int fifths, bool minor, int track = 0) {
    return meta(tick, midi::meta::key_signature, {fifths, minor}, track);
  }
  MadeUpScore& name(const std::string& text, int track = 0) {
    return meta(0, midi::meta::track_name, {text.begin(), text.end()}, track);
  }

  // Note-offs before what else is on their tick, otherwise in the order made.
  midi::Score score() {
    for (midi::Track& track : score_.tracks) {
      std::ranges::stable_sort(track.events, [](const midi::Event& a, const midi::Event& b) {
        return a.tick != b.tick ? a.tick < b.tick : a.is_note_off() && !b.is_note_off();
      });
    }
    return score_;
  }

 private:
  std::vector<midi::Event>& events(int track) {
    const auto index = static_cast<size_t>(track);
    if (score_.tracks.size() <= index) score_.tracks.resize(index + 1);
    return score_.tracks[index].events;
  }

  midi::Score score_;
};

}  // namespace etude::tests
