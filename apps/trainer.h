#pragma once

// The training loop: minibatches of a Dataset through a Session, epoch after epoch, with what is
// needed to stop after any step and go on later with the same bits.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/session.h"
#include "layers/models.h"
#include "midi/dataset.h"

namespace etude::apps {

struct TrainingOptions {
  int epochs = 4;
  int batch = 96;
  int song_group = 16;
  uint64_t seed = 1;      // of the order and of dropout
  int64_t max_steps = 0;  // stop after so many in all; 0: after the last epoch
  kernels::NadamOptions nadam;
  EmbeddingUpdate embedding_update = EmbeddingUpdate::dense;
};

struct StepReport {
  int64_t step;            // from 1, over all epochs
  int epoch;               // from 0
  double loss_per_sample;  // of this minibatch before the update, nats
  double data_ms;          // putting the minibatch together
  double model_ms;         // forward, backward, update
};

class Trainer {
 public:
  // Both must outlive the trainer. Error where an epoch has no minibatch.
  Trainer(const midi::Dataset& dataset, Model& model, const TrainingOptions& options);

  bool finished() const { return step_ >= last_step_; }
  StepReport step();

  int64_t steps_done() const { return step_; }
  int64_t last_step() const { return last_step_; }
  // Of all epochs, whatever max_steps says.
  int64_t steps_of_all_epochs() const;
  int epoch() const { return epoch_; }  // of the next step, from 0

  const std::vector<StepReport>& history() const { return history_; }
  // Mean loss per sample of each epoch begun, over the steps made.
  std::vector<double> epoch_losses() const;

  // DIR/model.safetensors, DIR/optimizer.safetensors and DIR/steps.csv, each atomically.
  void save(const std::filesystem::path& folder);
  // Goes on from there. Error where the folder holds a run of other data or options.
  void resume(const std::filesystem::path& folder);

 private:
  void begin_epoch(int epoch);
  void read_history(const std::filesystem::path& path);
  std::string identity() const;  // what a resumed run must agree with

  const midi::Dataset& dataset_;
  Model& model_;
  TrainingOptions options_;
  Session session_;
  std::vector<int64_t> steps_of_epoch_;
  std::vector<int64_t> order_;  // of the current epoch: window offsets
  int epoch_ = 0;
  int64_t position_ = 0;  // in the epoch, in minibatches
  int64_t step_ = 0, last_step_ = 0;
  std::vector<int32_t> inputs_, targets_;
  std::vector<StepReport> history_;
};

}  // namespace etude::apps
