#pragma once

// Files of every kind that holds a score: Standard MIDI Files (smf.h, smf_write.h) and MusicXML, as
// text or compressed (musicxml.h, musicxml_write.h).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "midi/quantise.h"
#include "midi/score.h"
#include "midi/smf.h"

namespace etude::midi {

// What a file is, by its first bytes and never by its name: MThd and RIFF are MIDI, "PK" is a
// compressed MusicXML file, "<" or a byte order mark MusicXML. Anything else is an Error, as of a
// damaged MIDI file. Throws Error naming file, place and reason.
Score read_score(const std::filesystem::path& path, Reading reading = Reading::tolerant);
Score parse_score(std::span<const uint8_t> bytes, const std::string& name,
                  Reading reading = Reading::tolerant);

enum class ScoreKind { midi, musicxml, compressed_musicxml };

// By the name's extension, in letters of either case.
inline constexpr const char* kScoreExtensions = ".mid, .midi, .musicxml, .xml, .mxl";
std::optional<ScoreKind> kind_of(const std::filesystem::path& path);

// Atomically (files.h), as the name says; an Error where it says nothing. MIDI is written event by
// event; notation by quantise with the options.
void write_score(const std::filesystem::path& path, const Score& score,
                 const GridOptions& options = {});
// The notes on their grid, as MIDI too.
void write_score(const std::filesystem::path& path, const GridScore& music);

}  // namespace etude::midi
