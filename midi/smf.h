#pragma once

// Standard MIDI Files to Score: formats 0, 1, 2 (another number is read as 1), ticks and SMPTE
// division, running status, system exclusive and all meta events, the RIFF RMID wrapper.
//
// Tolerated, and told in Score::found: extra header bytes; unknown chunks; bytes after the last
// chunk; more tracks than declared, and several in format 0; a track without End of Track; bytes
// after End of Track; running status that lives through meta and system exclusive events (not from
// track to track); system messages that have no place in a file (F1..F6, F8..FE), skipped with 1
// (F1, F3), 2 (F2) or 0 data bytes; a tempo event without a usable tempo.
//
// Damage: an event cut short, a data byte above 127, no status, a number of more than 4 bytes, a
// chunk that runs past the file, fewer tracks than declared. It is refused, or, when asked to
// recover, the events before it are kept and reading goes on with the next chunk, found by the
// track's declared length.
//
// Refused always: no MThd, a header shorter than 6 bytes, no track at all, a division of 0, a frame
// rate that does not exist.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "midi/score.h"

namespace etude::midi {

enum class Damage { refuse, recover };

// Limits against hostile files: LimitError.
inline constexpr size_t kMaxFileBytes = size_t{64} << 20;
inline constexpr size_t kMaxEvents = size_t{4} << 20;
inline constexpr size_t kMaxTracks = 65535;  // what a header can declare

// Throws Error naming file, byte offset and reason.
Score read_score(const std::filesystem::path& path, Damage damage = Damage::refuse);
Score parse_score(std::span<const uint8_t> bytes, const std::string& name,
                  Damage damage = Damage::refuse);

}  // namespace etude::midi
