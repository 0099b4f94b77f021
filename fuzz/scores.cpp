#include "fuzz/scores.h"

#include <algorithm>
#include <vector>

#include "fuzz/targets.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/piano_roll.h"
#include "midi/smf.h"
#include "midi/smf_write.h"
#include "midi/tempo.h"

namespace etude::fuzz {
namespace {

using midi::Event;

bool same(const midi::Score& a, const Event& left, const midi::Score& b, const Event& right) {
  return left.tick == right.tick && left.kind == right.kind && left.channel == right.channel &&
         left.a == right.a && left.b == right.b &&
         std::ranges::equal(a.bytes(left), b.bytes(right));
}

// The writer adds an End of Track where none is.
std::vector<Event> without_end(const midi::Track& track) {
  std::vector<Event> events = track.events;
  if (!events.empty() && events.back().is_meta(midi::meta::end_of_track)) events.pop_back();
  return events;
}

void check_written(const midi::Score& score) {
  std::vector<uint8_t> bytes;
  try {
    bytes = midi::write_smf(score);
  } catch (const midi::Error&) {  // of a delta that passed over events made too long
    return;
  }
  const midi::Score again = midi::parse_smf(bytes, "again.mid");
  expect(again.tracks.size() == score.tracks.size(), "tracks were lost");
  for (size_t t = 0; t < score.tracks.size(); ++t) {
    const auto before = without_end(score.tracks[t]), after = without_end(again.tracks[t]);
    expect(before.size() == after.size(), "events were lost");
    for (size_t i = 0; i < before.size(); ++i)
      expect(same(score, before[i], again, after[i]), "an event was changed");
  }
  expect(midi::write_smf(again) == bytes, "what is read again is written otherwise");
}

void check_roll(const midi::Score& score, midi::Pedal pedal) {
  const midi::PianoRoll roll = midi::make_piano_roll(score, {.fs = 2, .pedal = pedal});
  expect(roll.columns() <= midi::kMaxColumns, "a roll beyond its limit");
  expect(roll.articulated.size() == roll.played.size(), "two planes of different lengths");
}

void check_notes(const midi::Score& score) {
  for (const midi::Instrument& instrument : midi::instruments(score)) {
    expect(!instrument.notes.empty(), "an instrument without notes");
    for (const midi::Note& note : instrument.notes)
      expect(note.start <= note.end && note.end <= instrument.end(), "a note after its end");
    for (const midi::Note& note : midi::pedalled_notes(instrument))
      expect(note.start <= note.end, "a held note after its end");
  }
  midi::doubtful_notes(score);
  midi::end_times(score);
}

}  // namespace

void check_score(const midi::Score& score) {
  for (const midi::Track& track : score.tracks) {
    expect(std::ranges::is_sorted(track.events, {}, &Event::tick), "a tick that decreases");
  }
  check_written(score);
  try {
    check_notes(score);
    for (const auto pedal : {midi::Pedal::compat, midi::Pedal::extend, midi::Pedal::off})
      check_roll(score, pedal);
  } catch (const midi::Error&) {  // too long, or without notes
  }
}

}  // namespace etude::fuzz
