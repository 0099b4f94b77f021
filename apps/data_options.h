#pragma once

// The options that every command with --data has, and the loading that tells about skipped files.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "apps/checkpoint.h"
#include "midi/dataset.h"

namespace etude::apps {

// How MIDI becomes columns, where it is not said: the reference's way, or a checkpoint's.
struct RollOverrides {
  std::optional<double> fs;
  std::optional<midi::Pedal> pedal;

  midi::RollOptions over(midi::RollOptions roll) const {
    return {fs.value_or(roll.fs), pedal.value_or(roll.pedal)};
  }
};

// --fs and --pedal, where the default is `otherwise`: "5", "the checkpoint's".
void add_roll_overrides(CLI::App& command, RollOverrides& roll, const std::string& otherwise_fs,
                        const std::string& otherwise_pedal);

struct DataOptions {
  std::filesystem::path path;
  midi::DatasetOptions dataset;  // all but fs, pedal, threads and cache
  RollOverrides roll;
  bool no_cache = false;
};

// --no-cache: read anew what token_cache.h may have kept.
void add_cache_option(CLI::App& command, DataOptions& options);

// --data, --fs, --pedal, --sample, --sample-seed, --split, --no-cache
void add_data_options(CLI::App& command, DataOptions& options);
// The same for a command that can do without: the path is then empty.
void add_optional_data_options(CLI::App& command, DataOptions& options);
// The same for a command that has a checkpoint, which knows how its data was read.
void add_data_options_beside_checkpoint(CLI::App& command, DataOptions& options);

// Names and counts on stderr what was skipped.
midi::Dataset load_data(const DataOptions& options);
midi::Dataset load_data(const DataOptions& options, const Checkpoint& checkpoint);

}  // namespace etude::apps
