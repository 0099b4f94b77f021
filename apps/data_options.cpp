#include "apps/data_options.h"

#include <fmt/format.h>

#include <cstdio>
#include <thread>

namespace etude::apps {
namespace {

midi::DatasetOptions with_all_cores(const DataOptions& options) {
  midi::DatasetOptions dataset = options.dataset;
  dataset.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return dataset;
}

midi::Dataset report(midi::Dataset dataset) {
  for (const midi::Skipped& skipped : dataset.skipped)
    fmt::print(stderr, "skipped {}: {}\n", skipped.file, skipped.reason);
  if (!dataset.skipped.empty())
    fmt::print(stderr, "{} of {} files skipped\n", dataset.skipped.size(),
               dataset.skipped.size() + dataset.songs.size());
  return dataset;
}

}  // namespace

void add_data_options(CLI::App& command, DataOptions& options) {
  command
      .add_option("--data", options.path,
                  "folder of .mid files, MAESTRO .csv or .json, or one file")
      ->required();
  command.add_option("--fs", options.dataset.fs, "columns of the piano roll a second")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      .add_option("--pedal", options.dataset.pedal, "sustain pedal: compat (as pretty_midi) or off")
      ->transform(CLI::CheckedTransformer(std::map<std::string, midi::Pedal>{
          {"compat", midi::Pedal::compat}, {"off", midi::Pedal::off}}));
  command.add_option("--sample", options.dataset.sample, "use so many pieces, drawn at random")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--sample-seed", options.dataset.seed, "seed of that draw");
  command.add_option("--split", options.dataset.split, "pieces of this split of a MAESTRO table");
}

midi::Dataset load_data(const DataOptions& options) {
  return report(midi::load_dataset(options.path, with_all_cores(options)));
}

midi::Dataset load_data(const DataOptions& options, const midi::Vocabulary& vocabulary) {
  return report(midi::load_dataset(options.path, with_all_cores(options), vocabulary));
}

}  // namespace etude::apps
