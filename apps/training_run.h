#pragma once

// A training run as a user sees it: progress, saving, stopping, and its figures at the end.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/trainer.h"

namespace etude::apps {

// Throw where a file, or anything in a folder (which is made), cannot be written: before hours of
// work, not after.
void check_writable(const std::filesystem::path& file);
void prepare_folder(const std::filesystem::path& folder);

// Trains to the last step. With a folder, saves there at every epoch's end and at the last step,
// and when the user asks to stop: Interrupted, after the step under way, `how_to_resume` told.
void run_training(Trainer& trainer, const std::string& title, const std::filesystem::path& folder,
                  const std::string& how_to_resume);

// Of the steps behind the warm-up, or of the last one where there are no more: the first ones size
// the arena, warm the caches and, on a GPU, are captured.
struct StepTimes {
  double first = 0, median = 0, min = 0, max = 0;  // ms
  double data = 0, model = 0;                      // the median's parts: each one's own median
  double mean = 0;
};
StepRecord timed_steps(const StepRecord& record, int64_t warmup);
StepTimes step_times(const StepRecord& record, int64_t warmup);

struct RunFigures {
  std::string model;
  int64_t parameters, classes;
  int64_t steps, steps_of_four_epochs;
  std::vector<double> epoch_losses;  // the last epoch perhaps not whole
  double last_loss;                  // mean of the last steps, at most 50
  StepTimes times;
  double minutes;              // of all steps made
  double minutes_four_epochs;  // measured where the run made these and no more
  bool projected;
};
RunFigures figures_of(Trainer& trainer, const std::string& name, int64_t parameters);

nlohmann::ordered_json to_json(const RunFigures& figures);

}  // namespace etude::apps
