#pragma once

// Which files a path means.

#include <filesystem>
#include <string>
#include <vector>

namespace etude::midi {

struct Source {
  std::filesystem::path path;
  std::string name;  // as the table or the folder has it
};

// PATH is a MAESTRO table (.csv, .json; paths relative to it), one score (score_file.h), or a
// folder: all .mid, .midi, .musicxml and .mxl in it and below, by name in byte order; those that a
// MAESTRO CSV in the folder names come first, in its order, and a split selects among them. Throws
// Error: no such path, a file that a table names and that is not there, a split that no row has,
// nothing in the folder.
std::vector<Source> list_sources(const std::filesystem::path& path, const std::string& split);

}  // namespace etude::midi
