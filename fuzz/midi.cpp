#include "fuzz/scores.h"
#include "fuzz/targets.h"
#include "midi/error.h"
#include "midi/smf.h"

namespace etude::fuzz {

void midi(Bytes bytes) {
  using midi::Reading;
  for (const Reading reading : {Reading::strict, Reading::tolerant, Reading::recover}) {
    midi::Score score;
    try {
      score = midi::parse_smf(bytes, "x.mid", reading);
    } catch (const midi::Error&) {
      continue;
    }
    check_score(score);
  }
}

}  // namespace etude::fuzz
