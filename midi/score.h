#pragma once

// What a Standard MIDI File says, event by event, nothing interpreted: the common currency of this
// room. Readers make it (smf.h), compose.h makes it, the writer takes it.
// Terms and encodings: Standard MIDI Files 1.0, MIDI Manufacturers Association, RP-001.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "midi/time.h"

namespace etude::midi {

// The values are the status bytes (channel messages: with channel 0).
enum class EventKind : uint8_t {
  note_off = 0x80,
  note_on = 0x90,  // velocity 0 means note-off; see is_note_on, is_note_off
  key_pressure = 0xA0,
  control = 0xB0,
  program = 0xC0,
  channel_pressure = 0xD0,
  pitch_bend = 0xE0,
  sysex = 0xF0,
  sysex_continued = 0xF7,  // also the escape for raw bytes
  meta = 0xFF,
};

namespace meta {
inline constexpr uint8_t track_name = 0x03;
inline constexpr uint8_t end_of_track = 0x2F;
inline constexpr uint8_t set_tempo = 0x51;
inline constexpr uint8_t time_signature = 0x58;
inline constexpr uint8_t key_signature = 0x59;
}  // namespace meta

struct Event {
  Ticks tick;            // from the start of the track
  uint32_t offset = 0;   // of its status (or first data) byte in the file; 0 if made here
  uint32_t payload = 0;  // sysex, meta: where its bytes begin in Score::payload ...
  uint32_t size = 0;     // ... and how many they are
  EventKind kind = EventKind::meta;
  uint8_t channel = 0;  // 0..15, channel messages only
  uint8_t a = 0;        // first data byte (pitch, controller, program, bend LSB); meta: its type
  uint8_t b = 0;        // second data byte (velocity, value, bend MSB) or 0

  bool is_note_on() const { return kind == EventKind::note_on && b > 0; }
  bool is_note_off() const {
    return kind == EventKind::note_off || (kind == EventKind::note_on && b == 0);
  }
  bool is_meta(uint8_t type) const { return kind == EventKind::meta && a == type; }
  // -8192 .. 8191
  int bend() const { return (b << 7 | a) - 8192; }
};

struct Track {
  std::vector<Event> events;  // ticks never decrease; End of Track, if there is one, is last
};

// What a tick is worth: a part of a quarter note (then tempo tells the seconds), or of a video
// frame.
struct Division {
  int ticks_per_quarter = 480;  // 1 .. 32767, or 0: SMPTE
  int frame_code = 0;           // SMPTE: 24, 25, 29 (30 drop: 30000/1001 a second) or 30
  int ticks_per_frame = 0;

  bool smpte() const { return ticks_per_quarter == 0; }
  double ticks_per_second() const {  // SMPTE only
    return (frame_code == 29 ? 30000.0 / 1001.0 : frame_code) * ticks_per_frame;
  }
};

// In what a file departs from the specification, or from what most readers expect; smf.h and
// docs/midi.md say what becomes of each.
enum class Deviation : uint8_t {
  riff_wrapper,
  unknown_format,
  extra_header_bytes,
  several_tracks_in_format_0,
  too_few_tracks,
  too_many_tracks,
  unknown_chunk,
  trailing_bytes,
  wrong_chunk_length,
  missing_end_of_track,
  bytes_after_end_of_track,
  kept_running_status,
  stray_system_message,
  unusable_tempo,
  overlapping_notes,
  unclosed_note,
  zero_length_note,
  damage,
  notation,  // of MusicXML: what has no place among MIDI events
};

// Something that the reader passed over or mended.
struct Finding {
  Deviation kind;
  size_t place;  // byte of a MIDI file, line of a MusicXML file
  std::string what;
};

struct Score {
  std::string name;  // the file, for messages
  int format = 1;
  Division division;
  int tracks_declared = 0;
  std::vector<Track> tracks;
  std::vector<uint8_t> payload;
  std::vector<Finding> found;
  const char* place_unit = "byte";  // of Finding::place: "byte" or "line"

  std::span<const uint8_t> bytes(const Event& event) const {
    return {payload.data() + event.payload, event.size};
  }
  // Appends an event with bytes of its own (sysex, meta) to a track.
  void add(size_t track, Event event, std::span<const uint8_t> bytes);
  // Last event of any track, End of Track included; 0 when there is none.
  Ticks end_tick() const;
  int64_t note_ons() const;
};

// Of a division in ticks a quarter note.
inline Quarters quarters(Ticks ticks, const Division& division) {
  return {ticks.count, division.ticks_per_quarter};
}

// Microseconds a quarter note of a Set Tempo event; 0 when it is another event or has no usable
// tempo.
int tempo_of(const Score& score, const Event& event);

}  // namespace etude::midi
