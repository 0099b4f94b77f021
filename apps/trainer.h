#pragma once

// The training loop: minibatches of a Dataset through a Session, epoch after epoch, with what is
// needed to stop after any step and go on later with the same bits.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/step_record.h"
#include "engine/checkpoint.h"
#include "engine/session.h"
#include "layers/models.h"
#include "midi/dataset.h"
#include "midi/published_feed.h"

namespace etude::apps {

struct TrainingOptions {
  int epochs = 4;
  int batch = 96;
  int song_group = 16;
  uint64_t seed = 1;      // of the order and of dropout
  int64_t max_steps = 0;  // stop after so many in all; 0: after the last epoch
  kernels::NadamOptions nadam;
  EmbeddingUpdate embedding_update = EmbeddingUpdate::dense;
  midi::RollOptions roll;     // how the data was read, for the checkpoint
  bool as_published = false;  // minibatches by midi::PublishedFeed: the same, at its cost
  int64_t warmup_steps = 3;   // that no figure counts, nor shares its time with one that does
};

class Trainer {
 public:
  // All must outlive the trainer; the model moves to the stream's device. Error where an epoch has
  // no minibatch.
  Trainer(const midi::Dataset& dataset, Model& model, const TrainingOptions& options,
          const kernels::Stream& stream = {});

  bool finished() const { return step_ >= last_step_; }
  // Makes the next step, or on a GPU as many as fit between two looks at the clock, never past an
  // epoch's end. Error where a loss is not a finite number any more.
  void advance();

  int64_t steps_done() const { return step_; }
  int64_t last_step() const { return last_step_; }
  int64_t steps_of_epochs(int epochs);  // of the first so many, whatever the options say
  bool between_epochs() const { return position_ == 0; }
  const StepRecord& record() const { return record_; }
  int64_t device_bytes() const { return session_.device_bytes(); }

  const Model& model() const { return model_; }
  const TrainingOptions& options() const { return options_; }

  // DIR/model.safetensors, DIR/optimizer.safetensors and DIR/steps.csv, each atomically.
  void save(const std::filesystem::path& folder);
  // Goes on from there. Error where the folder holds a run of other data or options.
  void resume(const std::filesystem::path& folder);

 private:
  int64_t steps_of_epoch(int epoch);
  void begin_epoch(int epoch, int64_t position = 0);
  void step_from_host();
  void steps_on_device();
  double gather_minibatch();  // ms
  double read_minibatch();    // the same as published
  void read_up_to(int epoch, int64_t position);
  void record(double loss, double data_ms, double model_ms);
  void go_to_step(int64_t step);
  Metadata identity() const;  // what a resumed run must agree with

  const midi::Dataset& dataset_;
  Model& model_;
  TrainingOptions options_;
  Session session_;
  std::vector<int64_t> steps_of_epoch_;  // those known so far
  std::vector<int64_t> order_;           // of the current epoch: window offsets
  int epoch_ = 0;
  int64_t position_ = 0;  // in the epoch, in minibatches
  int64_t step_ = 0, last_step_ = 0;
  std::optional<midi::PublishedFeed> feed_;
  double group_ms_ = 0;  // of its reading, a minibatch's share
  std::vector<int32_t> inputs_, targets_;
  StepRecord record_;
};

}  // namespace etude::apps
