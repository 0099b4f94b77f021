#include "midi/instrument.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "midi/error.h"
#include "midi/tempo.h"

namespace etude::midi {
namespace {

struct Open {
  int64_t tick;
  uint8_t velocity;
};

class Collector {
 public:
  explicit Collector(const Score& score) : score_(score), tempo_(TempoMap::of_track(score, 0)) {}

  std::vector<Instrument> all() {
    for (size_t i = 0; i < score_.tracks.size(); ++i) {
      track_ = static_cast<int>(i);
      programs_.fill(0);
      early_.fill(nullptr);
      for (const size_t i_open : touched_) open_[i_open].clear();
      touched_.clear();
      for (const Event& event : score_.tracks[i].events) take(event);
    }
    return std::move(result_);
  }

 private:
  void take(const Event& event) {
    if (event.kind == EventKind::program) {
      programs_[event.channel] = event.a;
    } else if (event.is_note_on()) {
      strike(event);
    } else if (event.is_note_off()) {
      close(event);
    } else if (event.kind == EventKind::pitch_bend) {
      controllers(event.channel).bends.push_back({tempo_.seconds(event.tick), 0, event.bend()});
    } else if (event.kind == EventKind::control) {
      controllers(event.channel).controls.push_back({tempo_.seconds(event.tick), event.a, event.b});
    }
  }

  static size_t key_of(const Event& event) {
    return static_cast<size_t>(event.channel * 128 + event.a);
  }

  void strike(const Event& event) {
    auto& notes = open_[key_of(event)];
    if (notes.empty()) touched_.push_back(key_of(event));
    notes.push_back({event.tick, event.b});
  }

  void close(const Event& event) {
    auto& notes = open_[key_of(event)];
    // Ticks never decrease within a track: those of this tick are the last ones.
    const auto kept =
        std::ranges::find_if(notes, [&](const Open& o) { return o.tick == event.tick; });
    const bool closes = kept != notes.begin();
    if (closes) {
      const double end = tempo_.seconds(event.tick);
      Instrument& instrument = sounding(event.channel);
      for (auto note = notes.begin(); note != kept; ++note) {
        instrument.notes.push_back({tempo_.seconds(note->tick), end, event.a, note->velocity});
      }
      notes.erase(notes.begin(), kept);
    } else {
      notes.clear();
    }
  }

  // The instrument of a closed note, made if this is its first.
  Instrument& sounding(int channel) {
    const auto key = std::tuple(programs_[static_cast<size_t>(channel)], channel, track_);
    const auto [place, is_new] = index_.try_emplace(key, result_.size());
    if (is_new) {
      const auto& early = early_[static_cast<size_t>(channel)];
      result_.push_back(
          {std::get<0>(key), channel, track_, {}, early ? early : std::make_shared<Controllers>()});
    }
    return result_[place->second];
  }

  // Where a controller or a bend belongs: to the instrument that plays, if it exists yet, else to
  // those of this channel and track that are to come.
  Controllers& controllers(int channel) {
    const auto place = index_.find({programs_[static_cast<size_t>(channel)], channel, track_});
    if (place != index_.end()) return *result_[place->second].controllers;
    auto& early = early_[static_cast<size_t>(channel)];
    if (!early) early = std::make_shared<Controllers>();
    return *early;
  }

  const Score& score_;
  TempoMap tempo_;
  int track_ = 0;
  std::array<int, 16> programs_{};
  std::array<std::shared_ptr<Controllers>, 16> early_{};
  std::array<std::vector<Open>, 16 * 128> open_;       // by channel and pitch
  std::vector<size_t> touched_;                        // those of open_ that this track used
  std::map<std::tuple<int, int, int>, size_t> index_;  // program, channel, track
  std::vector<Instrument> result_;
};

}  // namespace

double Instrument::end_time() const {
  double end = 0;
  for (const Note& note : notes) end = std::max(end, note.end);
  for (const TimedValue& control : controllers->controls) end = std::max(end, control.time);
  for (const TimedValue& bend : controllers->bends) end = std::max(end, bend.time);
  return end;
}

std::vector<Instrument> instruments(const Score& score) {
  if (score.end_tick() >= kMaxTicks) {
    throw LimitError(score.name, fmt::format("{} ticks long, beyond the limit of {}",
                                             score.end_tick(), kMaxTicks));
  }
  if (score.tracks.empty()) return {};
  return Collector(score).all();
}

}  // namespace etude::midi
