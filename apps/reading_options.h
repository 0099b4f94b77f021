#pragma once

// --strict and --recover, of the commands that read one score.

#include <CLI/CLI.hpp>

#include "midi/smf.h"

namespace etude::apps {

struct ReadingOptions {
  bool strict = false;
  bool recover = false;

  midi::Reading reading() const {
    if (strict) return midi::Reading::strict;
    return recover ? midi::Reading::recover : midi::Reading::tolerant;
  }
};

inline void add_reading_options(CLI::App& command, ReadingOptions& options) {
  auto* strict = command.add_flag("--strict", options.strict,
                                  "Refuse what the specification does not have (docs/midi.md)");
  command.add_flag("--recover", options.recover, "Of a damaged MIDI file, take what can be read")
      ->excludes(strict);
}

}  // namespace etude::apps
