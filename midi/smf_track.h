#pragma once

// The events of one track of a Standard MIDI File; smf.cpp reads what is around them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "midi/score.h"
#include "midi/smf.h"

namespace etude::midi {

// What becomes of a deviation: an Error, or a line in Score::found.
class Findings {
 public:
  Findings(Score& score, Reading reading) : score_(score), reading_(reading) {}

  void tolerate(Deviation kind, size_t offset, const std::string& what);
  void damage(size_t offset, const std::string& what);

 private:
  void tell(Deviation kind, size_t offset, const std::string& what);

  Score& score_;
  Reading reading_;
};

class TrackReader {
 public:
  // Offsets are those of `file`.
  TrackReader(std::span<const uint8_t> file, Score& score, Findings& findings)
      : file_(file), score_(score), findings_(findings) {}

  // Adds a track to the score: its events from `begin` on, before `end`, up to End of Track or
  // damage, which is reported and not told.
  struct End {
    enum { at_end_of_track, at_end, at_damage } how;
    size_t offset;  // behind the last byte that was read; of the damage
    std::string damage = {};
  };
  End read(size_t begin, size_t end);
  // Takes the last track back.
  void forget();

 private:
  End read_events(size_t begin, size_t end);
  void plain_events();
  void event();
  void channel_message(uint8_t status, size_t start);
  void long_event(uint8_t status, size_t start);
  Event made(EventKind kind, size_t start) const;
  void push(const Event& event);
  uint8_t byte(const char* inside);
  uint8_t data();
  int64_t number();

  std::span<const uint8_t> file_;
  Score& score_;
  Findings& findings_;
  size_t count_ = 0;  // events of the whole file

  // The track being read.
  size_t payload_before_ = 0, found_before_ = 0;  // sizes in score_ when it began
  size_t at_ = 0, end_ = 0;
  std::vector<Event>* events_ = nullptr;
  uint8_t status_ = 0;          // running status, 0: none
  bool mended_status_ = false;  // a meta or sysex event, which cancels it by the letter, came since
  int64_t tick_ = 0;            // 64 MiB of the longest deltas stay below 2^53
};

}  // namespace etude::midi
