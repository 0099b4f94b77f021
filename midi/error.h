#pragma once

// What this room throws. what() is the one line that a user reads: "FILE: PLACE: REASON", PLACE
// being a byte offset, a row or a line, and absent where there is none.

#include <cstddef>
#include <stdexcept>
#include <string>

namespace etude::midi {

struct Error : std::runtime_error {
  // `why` is what() without the file: place and reason.
  Error(const std::string& file_, const std::string& why_)
      : std::runtime_error(file_ + ": " + why_), file(file_), why(why_) {}

  static Error at(const std::string& file, size_t offset, const std::string& reason) {
    return {file, "byte " + std::to_string(offset) + ": " + reason};
  }

  std::string file;
  std::string why;
};

// Damage of a MIDI file: what Reading::recover (smf.h) passes over.
struct DamageError : Error {
  using Error::Error;
};

// The input may be well formed, but asks for more than this program is willing to hold: a file, a
// number of events or ticks, a roll beyond the limits of smf.h and piano_roll.h.
struct LimitError : Error {
  using Error::Error;
};

}  // namespace etude::midi
