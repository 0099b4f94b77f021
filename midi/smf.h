#pragma once

// Standard MIDI Files to Score: formats 0, 1, 2 (another number is kept, and means 1), ticks and
// SMPTE division, running status, system exclusive and all meta events. Every event is kept.
//
// Three ways to read; docs/midi.md has a line for each deviation.
//   strict    what the specification does not have is an Error. So are overlapping notes, notes
//             never closed and notes of no length (instrument.h), and the RIFF wrapper.
//   tolerant  what can be mended without loss is mended, and told in Score::found. Damage is an
//             Error: an event cut short, a data byte above 127, no status, a number of more than 4
//             bytes, a chunk without End of Track that runs past the file.
//   recover   of a damaged track the events before the damage are kept, and reading goes on with
//             the next chunk, found by the track's declared length.
//
// Refused always: no MThd, a header shorter than 6 bytes, no track at all, a division of 0, a frame
// rate that does not exist.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "midi/score.h"

namespace etude::midi {

enum class Reading { strict, tolerant, recover };

// Limits against hostile files: LimitError.
inline constexpr size_t kMaxFileBytes = size_t{64} << 20;
inline constexpr size_t kMaxEvents = size_t{4} << 20;
inline constexpr size_t kMaxTracks = 65535;  // what a header can declare
inline constexpr size_t kMaxFindings = 100;  // more are not told

// Throws Error naming file, byte offset and reason, DamageError where recovering would go on.
Score parse_smf(std::span<const uint8_t> bytes, const std::string& name,
                Reading reading = Reading::tolerant);

}  // namespace etude::midi
