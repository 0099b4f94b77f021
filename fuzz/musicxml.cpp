#include "midi/musicxml.h"

#include <algorithm>
#include <array>
#include <string>

#include "fuzz/scores.h"
#include "fuzz/targets.h"
#include "midi/archive.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/smf.h"

namespace etude::fuzz {
namespace {

void read(Bytes bytes, midi::Score (*parse)(Bytes, const std::string&, midi::Reading)) {
  midi::Score score;
  try {
    score = parse(bytes, "x.musicxml", midi::Reading::tolerant);
  } catch (const midi::Error&) {
    return;
  }
  expect(midi::doubtful_notes(score).empty(), "notes that overlap, do not end or have no length");
  expect(score.found.size() <= midi::kMaxFindings, "more findings than are told");
  check_score(score);
}

}  // namespace

void musicxml(Bytes bytes) { read(bytes, midi::parse_musicxml); }

// As they are, and as the two files of a well made archive with a NUL between them: checksums would
// hide the container's text from the fuzzer.
void mxl(Bytes bytes) {
  read(bytes, midi::parse_mxl);
  const auto middle = std::ranges::find(bytes, uint8_t{0});
  const Bytes container(bytes.begin(), middle);
  const Bytes score = middle == bytes.end() ? Bytes() : Bytes(middle + 1, bytes.end());
  const std::array<midi::NewArchiveEntry, 2> entries = {
      midi::NewArchiveEntry{"META-INF/container.xml", container}, {"score.xml", score}};
  read(midi::write_archive(entries), midi::parse_mxl);
}

}  // namespace etude::fuzz
