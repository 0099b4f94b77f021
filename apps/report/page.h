#pragma once

// The page about a table of models: what was run, the figures, the loss curves, the pieces with
// their rolls, to look at and to play. One HTML file that needs nothing but itself, apart from the
// links to the .mid files beside it.

#include <string>
#include <vector>

#include "apps/table_rows.h"
#include "midi/time.h"

namespace etude::apps::report {

struct PlayedNote {
  midi::Seconds start, end;
  int pitch;
};

struct Piece {
  std::string name;  // the model's
  std::string file;  // the link
  std::string roll_svg;
  std::vector<PlayedNote> notes;  // by start
};

struct Page {
  StoredTable table;
  std::string loss_svg;
  std::vector<Piece> pieces;
};

// Throws nlohmann::json::exception where the table lacks something.
std::string to_html(const Page& page);

}  // namespace etude::apps::report
