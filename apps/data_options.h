#pragma once

// The options that every command with --data has, and the loading that tells about skipped files.

#include <CLI/CLI.hpp>
#include <filesystem>

#include "midi/dataset.h"

namespace etude::apps {

struct DataOptions {
  std::filesystem::path path;
  midi::DatasetOptions dataset;
};

// --data, --fs, --pedal, --sample, --sample-seed, --split
void add_data_options(CLI::App& command, DataOptions& options);

// Names and counts on stderr what was skipped.
midi::Dataset load_data(const DataOptions& options);
midi::Dataset load_data(const DataOptions& options, const midi::Vocabulary& vocabulary);

}  // namespace etude::apps
