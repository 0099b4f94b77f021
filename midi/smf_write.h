#pragma once

// Score to Standard MIDI File: every event as it stands, tracks in order, each ended by End of
// Track (one is added at the track's last tick where it is missing). Status bytes are written out,
// never running. What parse_smf reads back has the same events.

#include <cstdint>
#include <vector>

#include "midi/score.h"

namespace etude::midi {

// Throws Error when the score cannot be written: a tick that decreases, a delta or an event beyond
// 2^28 - 1, more than 65535 tracks.
std::vector<uint8_t> write_smf(const Score& score);

}  // namespace etude::midi
