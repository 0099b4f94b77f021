#pragma once

// What training writes down of every step, and its file, steps.csv.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace etude::apps {

struct StepReport {
  int64_t step;            // from 1, over all epochs
  int epoch;               // from 0
  double loss_per_sample;  // of this minibatch before the update, nats
  double data_ms;          // putting the minibatch together
  double model_ms;         // forward, backward, update

  double total_ms() const { return data_ms + model_ms; }
};

using StepRecord = std::vector<StepReport>;

std::string to_csv(const StepRecord& record);
// Throws Error naming the file, the line and the fault.
StepRecord read_step_record(const std::filesystem::path& path);

// Mean loss per sample of each epoch begun, over the steps made.
std::vector<double> epoch_losses(const StepRecord& record);

}  // namespace etude::apps
