#include "midi/musicxml.h"

#include <algorithm>

#include "fuzz/targets.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/smf.h"
#include "midi/smf_write.h"

namespace etude::fuzz {

void musicxml(Bytes bytes) {
  midi::Score score;
  try {
    score = midi::parse_musicxml(bytes, "x.musicxml");
  } catch (const midi::Error&) {
    return;
  }
  for (const midi::Track& track : score.tracks)
    expect(std::ranges::is_sorted(track.events, {}, &midi::Event::tick), "a tick that decreases");
  expect(midi::doubtful_notes(score).empty(), "notes that overlap, do not end or have no length");
  expect(score.found.size() <= midi::kMaxFindings, "more findings than are told");
  try {
    const midi::Score again = midi::parse_smf(midi::write_smf(score), "again.mid");
    expect(again.note_ons() == score.note_ons(), "notes were lost");
  } catch (const midi::Error&) {  // too long for a MIDI file
  }
}

}  // namespace etude::fuzz
