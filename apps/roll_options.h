#pragma once

// The options that say how MIDI becomes columns, the same in every command that reads it.

#include <CLI/CLI.hpp>
#include <string>

#include "apps/number_checks.h"
#include "midi/piano_roll.h"

namespace etude::apps {

inline void add_roll_options(CLI::App& command, double& fs, midi::Pedal& pedal) {
  command.add_option("--fs", fs, "Columns a second")->capture_default_str()->check(above_zero());
  command
      .add_option_function<std::string>(
          "--pedal",
          [&pedal](const std::string& mode) {
            pedal = mode == "off" ? midi::Pedal::off : midi::Pedal::compat;
          },
          "Sustain pedal: compat (as pretty_midi today) or off (as in 2019)")
      ->default_str("compat")
      ->check(CLI::IsMember({"compat", "off"}));
}

}  // namespace etude::apps
