#pragma once

// --strict and --recover, of the commands that read one score.

#include <CLI/CLI.hpp>
#include <filesystem>

#include "midi/score.h"

namespace etude::apps {

struct ReadingOptions {
  bool strict = false;
  bool recover = false;
};

void add_reading_options(CLI::App& command, ReadingOptions& options);

// As midi::read_score; an Error that --recover would spare says so.
midi::Score read_score(const std::filesystem::path& path, const ReadingOptions& options);

}  // namespace etude::apps
