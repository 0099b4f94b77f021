#include "apps/data_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "apps/cache_folder.h"
#include "apps/datasets.h"
#include "apps/messages.h"
#include "apps/number_checks.h"

namespace etude::apps {
namespace {

midi::DatasetOptions dataset_options(const DataOptions& options, const midi::RollOptions& roll) {
  midi::DatasetOptions dataset = options.dataset;
  dataset.fs = roll.fs;
  dataset.pedal = roll.pedal;
  if (const auto folder = cache_folder(); folder && !options.no_cache)
    dataset.cache_folder = *folder / "tokens";
  dataset.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return dataset;
}

midi::Dataset report(midi::Dataset dataset) {
  for (const midi::Skipped& skipped : dataset.skipped)
    tell_line(fmt::format("skipped {}: {}", skipped.file, skipped.reason));
  if (!dataset.skipped.empty())
    tell_line(fmt::format("{} of {} files skipped", dataset.skipped.size(),
                          dataset.skipped.size() + dataset.songs.size()));
  return dataset;
}

void add_source_options(CLI::App& command, DataOptions& options, bool required = true) {
  command
      .add_option(
          "--data", options.path,
          "Folder of MIDI and MusicXML files, MAESTRO table (.csv, .json), one such file, or "
          "\"maestro\": what `etude fetch maestro` has fetched")
      ->required(required);
  command.add_option("--sample", options.dataset.sample, "Use so many pieces, drawn at random")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--sample-seed", options.dataset.seed, "Of that draw")
      ->capture_default_str()
      ->check(seed_number());
  command.add_option("--split", options.dataset.split,
                     "Pieces of this split of a MAESTRO table: train, validation, test");
  add_cache_option(command, options);
}

}  // namespace

void add_roll_overrides(CLI::App& command, RollOverrides& roll, const std::string& otherwise_fs,
                        const std::string& otherwise_pedal) {
  command.add_option("--fs", roll.fs, "Columns a second")
      ->default_str(otherwise_fs)
      ->check(above_zero());
  command
      .add_option_function<std::string>(
          "--pedal", [&roll](const std::string& mode) { roll.pedal = midi::pedal_named(mode); },
          "Sustain pedal: compat (as pretty_midi today), extend (as on a piano: each note goes on "
          "to "
          "the pedal-up or the next strike of its key), off (as in 2019)")
      ->default_str(otherwise_pedal)
      ->check(CLI::IsMember({"compat", "extend", "off"}));
}

void add_cache_option(CLI::App& command, DataOptions& options) {
  command.add_flag("--no-cache", options.no_cache,
                   "Read all files anew: tokens are else kept in ~/.cache/etude/tokens, keyed by "
                   "the files' contents");
}

void add_data_options(CLI::App& command, DataOptions& options) {
  add_source_options(command, options);
  add_roll_overrides(command, options.roll, "5", "compat");
}

void add_optional_data_options(CLI::App& command, DataOptions& options) {
  add_source_options(command, options, false);
  add_roll_overrides(command, options.roll, "5", "compat");
}

void add_data_options_beside_checkpoint(CLI::App& command, DataOptions& options) {
  add_source_options(command, options);
  add_roll_overrides(command, options.roll, "the checkpoint's", "the checkpoint's");
}

midi::Dataset load_data(const DataOptions& options) {
  return report(midi::load_dataset(resolve_data(options.path),
                                   dataset_options(options, options.roll.over({}))));
}

midi::Dataset load_data(const DataOptions& options, const Checkpoint& checkpoint) {
  return report(midi::load_dataset(resolve_data(options.path),
                                   dataset_options(options, options.roll.over(checkpoint.roll)),
                                   checkpoint.vocabulary));
}

}  // namespace etude::apps
