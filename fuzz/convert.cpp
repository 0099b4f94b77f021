#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "fuzz/targets.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/musicxml.h"
#include "midi/musicxml_write.h"
#include "midi/quantise.h"
#include "midi/smf.h"

namespace etude::fuzz {
namespace {

// A bar is half a kilobyte of text: longer pieces would only take time.
constexpr midi::Ticks kLongest = {20'000};

using Sounds = std::vector<std::tuple<midi::Quarters, midi::Quarters, int>>;  // start, end, pitch

Sounds sounds_of(const midi::GridScore& music) {
  Sounds sounds;
  for (const midi::GridPart& part : music.parts) {
    for (const auto& hand : part.hands) {
      for (const midi::Note& note : hand)
        sounds.emplace_back(midi::Quarters{note.start.count, midi::kGridTicks},
                            midi::Quarters{note.end.count, midi::kGridTicks}, note.pitch);
    }
  }
  std::ranges::sort(sounds);
  return sounds;
}

Sounds sounds_of(const midi::Score& score) {
  Sounds sounds;
  for (const midi::Instrument& instrument : midi::instruments(score)) {
    for (const midi::Note& note : instrument.notes)
      sounds.emplace_back(midi::quarters(note.start, score.division),
                          midi::quarters(note.end, score.division), note.pitch);
  }
  std::ranges::sort(sounds);
  return sounds;
}

void check(const midi::Score& score, const midi::GridOptions& options) {
  std::string text;
  Sounds wanted;
  try {
    const midi::GridScore music = midi::quantise(score, options);
    wanted = sounds_of(music);
    text = midi::write_musicxml(music);
  } catch (const midi::Error&) {  // too long, or without notes
    return;
  }
  const Bytes bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  try {
    const midi::Score again = midi::parse_musicxml(bytes, "again.musicxml");
    expect(sounds_of(again) == wanted, "notes were lost, moved or changed");
  } catch (const midi::LimitError&) {  // longer than what is read
  }
}

}  // namespace

void convert(Bytes bytes) {
  midi::Score score;
  try {
    score = midi::parse_smf(bytes, "x.mid");
  } catch (const midi::Error&) {
    return;
  }
  if (score.end_tick() > kLongest) return;
  check(score, {.pedal = midi::Pedal::compat});
  check(score, {.grid = 4, .pedal = midi::Pedal::extend});
}

}  // namespace etude::fuzz
