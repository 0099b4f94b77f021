#include "midi/grid_score.h"

#include <algorithm>
#include <bit>

#include "midi/text.h"

namespace etude::midi {
namespace {

// A score under construction; events of a track may come in any order.
class Writer {
 public:
  explicit Writer(Score& score) : score_(score) {}

  void begin_track() { score_.tracks.emplace_back(); }

  void meta_event(Ticks tick, uint8_t type, std::span<const uint8_t> bytes) {
    Event event;
    event.tick = tick;
    event.a = type;
    score_.add(score_.tracks.size() - 1, event, bytes);
  }
  void channel_event(Ticks tick, EventKind kind, int channel, int a, int b) {
    Event event;
    event.tick = tick;
    event.kind = kind;
    event.channel = static_cast<uint8_t>(channel);
    event.a = static_cast<uint8_t>(a);
    event.b = static_cast<uint8_t>(b);
    score_.tracks.back().events.push_back(event);
  }
  // On one tick: what is no note, note-offs, note-ons; otherwise as they came.
  void end_track() {
    auto& events = score_.tracks.back().events;
    const auto rank = [](const Event& event) {
      return event.is_note_on() ? 2 : event.is_note_off() ? 1 : 0;
    };
    std::ranges::stable_sort(events, [&](const Event& a, const Event& b) {
      return a.tick != b.tick ? a.tick < b.tick : rank(a) < rank(b);
    });
    meta_event(events.empty() ? Ticks{} : events.back().tick, meta::end_of_track, {});
  }

 private:
  Score& score_;
};

void write_common(Writer& writer, const GridScore& music) {
  writer.begin_track();
  if (!music.title.empty()) writer.meta_event({}, meta::track_name, bytes_of(music.title));
  for (const MeterChange& change : music.meters) {
    const auto beat_type = static_cast<unsigned>(change.meter.beat_type);
    const uint8_t bytes[] = {static_cast<uint8_t>(change.meter.beats),
                             static_cast<uint8_t>(std::countr_zero(beat_type)), 24, 8};
    writer.meta_event(change.tick, meta::time_signature, bytes);
  }
  for (const TempoChange& change : music.tempi) {
    const auto part = [&](int shift) { return static_cast<uint8_t>(change.tempo >> shift); };
    const uint8_t bytes[] = {part(16), part(8), part(0)};
    writer.meta_event(change.tick, meta::set_tempo, bytes);
  }
  writer.end_track();
}

void write_hand(Writer& writer, const GridPart& part, const std::vector<Note>& notes) {
  writer.begin_track();
  if (!part.name.empty()) writer.meta_event({}, meta::track_name, bytes_of(part.name));
  for (const KeyChange& change : part.keys) {
    const uint8_t bytes[] = {static_cast<uint8_t>(change.key.fifths), change.key.minor};
    writer.meta_event(change.tick, meta::key_signature, bytes);
  }
  writer.channel_event({}, EventKind::program, part.channel, part.program, 0);
  for (const PedalChange& change : part.pedal)
    writer.channel_event(change.tick, EventKind::control, part.channel, kSustainPedal,
                         change.down ? 127 : 0);
  for (const Note& note : notes) {
    writer.channel_event(note.start, EventKind::note_on, part.channel, note.pitch, note.velocity);
    writer.channel_event(note.end, EventKind::note_off, part.channel, note.pitch, 0);
  }
  writer.end_track();
}

}  // namespace

Ticks GridScore::end() const {
  Ticks end;
  for (const GridPart& part : parts) {
    for (const auto& hand : part.hands) {
      for (const Note& note : hand) end = std::max(end, note.end);
    }
  }
  return end;
}

Score to_score(const GridScore& music) {
  Score score;
  score.name = music.name;
  score.division.ticks_per_quarter = kGridTicks;
  Writer writer(score);
  write_common(writer, music);
  for (const GridPart& part : music.parts) {
    for (const auto& hand : part.hands) write_hand(writer, part, hand);
  }
  score.tracks_declared = static_cast<int>(score.tracks.size());
  return score;
}

}  // namespace etude::midi
