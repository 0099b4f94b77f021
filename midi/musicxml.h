#pragma once

// MusicXML to Score: score-partwise and score-timewise, as text (.musicxml, .xml) or compressed
// (.mxl). The format: MusicXML 4.0, W3C Community Group, w3.org/2021/06/musicxml40; versions 1.0 to
// 4.0 are read alike. Nothing is fetched, no entity is expanded.
//
// The Score has format 1 and one track for each staff of each part, in the file's order, so that a
// piano's hands stay apart; tempi and time signatures stand in track 0, key signatures in the
// tracks that they hold for. Ticks per quarter note are the lcm of all <divisions>, times what
// grace notes need, so that every position is exact; where that is beyond 32767, positions are
// rounded from exact ones and Score::found says so.
//
// What sounds, and when:
// * Repeats, endings, D.C., D.S., Fine and Coda are written out (musicxml_model.h: play_order).
// * A measure is as long as the furthest position in it, in any part. A length that is no whole
//   number of 64th notes and lies within a 16th note of the time signature's is a rounding error of
//   the program that wrote it: the time signature holds. So it does for a measure without content.
// * Tied notes are one note: a stop continues the note of its pitch in its part that ends there, of
//   its voice if there is one. A stop that continues none is a note of its own; a start without a
//   stop leads to the note of its pitch that begins there in its voice or staff.
// * Grace notes begin on the beat of the note that follows in their voice and take their time from
//   it: half of it in equal parts (2/3 of a dotted note, 4/7 of a double-dotted, shares that
//   MuseScore plays); with a slash a 32nd note each, at most half (ours). Those that none follows
//   in the measure, or that say steal-time-previous, take it from the note before.
// * A cue note is silent, except where MuseScore before version 4 wrote the file, which wrote
//   <cue/> for every note drawn small. Hidden notes (print-object="no") sound.
// * In one track, channel and pitch, notes of two voices struck at once are one, the longest; a
//   note struck while another sounds ends that, and lasts as long as the longer of both.
// * <pitch> sounds as written but for <transpose>; quarter tones are rounded away from zero.
//   <unpitched> sounds as its instrument's <midi-unpitched>, or not at all.
// * Ornaments, arpeggios, tremolos, articulations and fermatas change nothing; nor do wedges.
//
// Velocity: <sound dynamics> and <note dynamics> are percents of 90. Marks without them: pppp.. 8,
// ppp 16, pp 33, p 49, mp 64, mf 80, f 96, ff 112, fff.. 126, n 1; in all staves of the part from
// there on, 80 before the first (ppp to fff: MuseScore's defaults; the others are ours). sf, sfz,
// fz, rf and the like are 112 (sff 126) for what is struck at that moment; fp, sfp, pf mark the
// moment by their first letter and what follows by their last: ours too.
// Tempo: <sound tempo>, else <metronome> with a number. Program and channel: <midi-instrument>; a
// part without gets a channel of its own, percussion the tenth.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "midi/score.h"
#include "midi/smf.h"

namespace etude::midi {

// Limits beside those of smf.h (file size, events with all repeats written out, tracks). Together
// they hold a file of any content to about 1 GiB of memory: copies of its text (as UTF-8 up to
// twice its size), 120 bytes for each node of the markup, and under 100 for each event. Elements,
// attributes and texts of a file: what 50 MB of a usual score have.
inline constexpr size_t kMaxNodes = size_t{3} << 20;
inline constexpr size_t kMaxMeasures = 100'000;            // of a part, repeats not written out
inline constexpr int64_t kMaxQuarters = int64_t{1} << 20;  // with repeats written out

// Bytes are UTF-8, UTF-16 with a byte order mark, or ISO 8859-1 where the XML declaration says so.
// Windows-1252 is read as ISO 8859-1 and any other encoding as UTF-8, and told.
// Strict reading makes an Error of the first that would go to Score::found; what smf.h recovers is
// damage of MIDI files, and Reading::recover is tolerant here.
// Throws Error naming file, line and reason, LimitError beyond the limits.
Score parse_musicxml(std::span<const uint8_t> bytes, const std::string& name,
                     Reading reading = Reading::tolerant);

// A ZIP archive whose META-INF/container.xml names the score's file: the first rootfile that is
// MusicXML. LimitError where that is larger than 1 MiB and than 100 times the archive. Errors of
// archive.h as well; lines are those of the file inside, which is named after the archive.
Score parse_mxl(std::span<const uint8_t> bytes, const std::string& name,
                Reading reading = Reading::tolerant);

}  // namespace etude::midi
