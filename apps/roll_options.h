#pragma once

// The options that say how MIDI becomes columns, the same in every command that reads it.

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "midi/piano_roll.h"

namespace etude::apps {

inline void add_roll_options(CLI::App& command, double& fs, midi::Pedal& pedal) {
  command.add_option("--fs", fs, "Columns a second")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  const std::map<std::string, midi::Pedal> names = {{"compat", midi::Pedal::compat},
                                                    {"off", midi::Pedal::off}};
  command
      .add_option("--pedal", pedal,
                  "Sustain pedal: compat (as pretty_midi today) or off (as in 2019)")
      ->default_str("compat")
      ->transform(CLI::CheckedTransformer(names).description("{compat,off}"));
}

}  // namespace etude::apps
