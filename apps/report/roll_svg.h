#pragma once

// A piano roll as an SVG picture: piano keys at the left, a bar for each note with its stroke
// marked, a line at every C, seconds along the bottom. Long pieces run over several lines, one
// below the other.

#include <string>

#include "midi/piano_roll.h"

namespace etude::apps::report {

struct RollSvgOptions {
  double seconds_a_line = 60;
  double width = 1200;      // of a full line's bars, in pixels; short pieces are narrower
  double pitch_height = 5;  // pixels a semitone
};

// Throws midi::LimitError for a piece of more than four hours.
std::string roll_svg(const midi::PianoRoll& roll, const std::string& title,
                     const RollSvgOptions& options = {});

}  // namespace etude::apps::report
