#include "apps/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <sstream>

#include "engine/atomic_file.h"
#include "engine/checkpoint.h"
#include "engine/error.h"
#include "layers/model_file.h"

namespace etude::apps {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

constexpr const char* kHistoryHeader = "step,epoch,loss_per_sample,data_ms,model_ms";

}  // namespace

Trainer::Trainer(const midi::Dataset& dataset, Model& model, const TrainingOptions& options)
    : dataset_(dataset),
      model_(model),
      options_(options),
      session_(
          model.params(), model.embedding_table(),
          [&model](Tape& tape, const Batch& batch) { return model.forward(tape, batch); },
          Nadam(options.nadam, options.embedding_update), options.seed) {
  if (model.config().window != midi::kWindow)
    throw Error(fmt::format("training windows have {} tokens, the model wants {}", midi::kWindow,
                            model.config().window));
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    begin_epoch(epoch);
    steps_of_epoch_.push_back(static_cast<int64_t>(order_.size()) / options.batch);
  }
  if (std::count(steps_of_epoch_.begin(), steps_of_epoch_.end(), 0))
    throw Error(
        fmt::format("{} windows are too few for a minibatch of {}: give more pieces or a "
                    "smaller --batch",
                    dataset.samples(), options.batch));
  last_step_ = steps_of_all_epochs();
  if (options.max_steps > 0) last_step_ = std::min(last_step_, options.max_steps);
  inputs_.resize(static_cast<size_t>(options.batch * midi::kWindow));
  targets_.resize(static_cast<size_t>(options.batch));
  begin_epoch(0);
}

int64_t Trainer::steps_of_all_epochs() const {
  return std::accumulate(steps_of_epoch_.begin(), steps_of_epoch_.end(), int64_t{0});
}

void Trainer::begin_epoch(int epoch) {
  epoch_ = epoch;
  position_ = 0;
  order_ = midi::epoch_order(dataset_, options_.seed, epoch, options_.song_group, options_.batch);
}

StepReport Trainer::step() {
  const auto start = Clock::now();
  for (int i = 0; i < options_.batch; ++i) {
    const int64_t offset = order_[static_cast<size_t>(position_ * options_.batch + i)];
    std::copy_n(dataset_.input(offset), midi::kWindow, inputs_.data() + i * midi::kWindow);
    targets_[static_cast<size_t>(i)] = dataset_.target(offset);
  }
  const auto gathered = Clock::now();
  const Batch batch{options_.batch, midi::kWindow, inputs_.data(), targets_.data()};
  const double loss = session_.train_step(batch) / options_.batch;
  const auto end = Clock::now();

  history_.push_back(
      {++step_, epoch_, loss, milliseconds(gathered - start), milliseconds(end - gathered)});
  if (++position_ == steps_of_epoch_[static_cast<size_t>(epoch_)]) {
    position_ = 0;
    if (epoch_ + 1 < options_.epochs) begin_epoch(epoch_ + 1);
  }
  return history_.back();
}

std::vector<double> Trainer::epoch_losses() const {
  std::vector<double> sums(history_.empty() ? 0 : static_cast<size_t>(history_.back().epoch) + 1);
  std::vector<int64_t> steps(sums.size());
  for (const StepReport& report : history_) {
    sums[static_cast<size_t>(report.epoch)] += report.loss_per_sample;
    ++steps[static_cast<size_t>(report.epoch)];
  }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] /= static_cast<double>(steps[i]);
  return sums;
}

std::string Trainer::identity() const {
  return fmt::format(
      "model {} {} targets {} seed {} batch {} song-group {} learning-rate {} embedding {}",
      model_.config().model, to_json(model_.config()), midi::sha256_targets(dataset_),
      options_.seed, options_.batch, options_.song_group, options_.nadam.learning_rate,
      options_.embedding_update == EmbeddingUpdate::dense ? "dense" : "sparse");
}

void Trainer::save(const std::filesystem::path& folder) {
  save_model(folder / "model.safetensors", model_, dataset_.vocabulary.tokens());
  save_optimizer(folder / "optimizer.safetensors", model_.params(), session_.optimizer(),
                 {{"run", identity()}});
  std::string csv = fmt::format("{}\n", kHistoryHeader);
  for (const StepReport& r : history_)
    csv += fmt::format("{},{},{},{:.4f},{:.4f}\n", r.step, r.epoch, r.loss_per_sample, r.data_ms,
                       r.model_ms);
  write_file(folder / "steps.csv", csv);
}

void Trainer::resume(const std::filesystem::path& folder) {
  const auto path = folder / "optimizer.safetensors";
  load_weights(folder / "model.safetensors", model_);
  const Metadata progress = load_optimizer(path, model_.params(), session_.optimizer());
  const auto run = progress.find("run");
  if (run == progress.end() || run->second != identity())
    throw Error(
        fmt::format("{}: header: it belongs to a run with other data or options ({}), not "
                    "({})",
                    path.string(), run == progress.end() ? "" : run->second, identity()));
  step_ = session_.optimizer().state().step;
  if (step_ < 0 || step_ > steps_of_all_epochs())
    throw Error(
        fmt::format("{}: header: step {} of {}", path.string(), step_, steps_of_all_epochs()));
  read_history(folder / "steps.csv");
  int64_t before = 0;
  int epoch = 0;
  while (epoch + 1 < options_.epochs &&
         before + steps_of_epoch_[static_cast<size_t>(epoch)] <= step_)
    before += steps_of_epoch_[static_cast<size_t>(epoch++)];
  begin_epoch(epoch);
  position_ = step_ - before;
}

void Trainer::read_history(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  if (line != kHistoryHeader)
    throw Error(fmt::format("{}: line 1: not the record of a run", path.string()));
  history_.clear();
  while (static_cast<int64_t>(history_.size()) < step_ && std::getline(in, line)) {
    std::istringstream fields(line);
    StepReport r{};
    char comma;
    fields >> r.step >> comma >> r.epoch >> comma >> r.loss_per_sample >> comma >> r.data_ms >>
        comma >> r.model_ms;
    const auto number = static_cast<int64_t>(history_.size()) + 1;
    if (!fields || r.step != number || r.epoch < 0 || r.epoch >= options_.epochs)
      throw Error(fmt::format("{}: line {}: not a step of a run", path.string(), number + 1));
    history_.push_back(r);
  }
  if (static_cast<int64_t>(history_.size()) < step_)
    throw Error(
        fmt::format("{}: it ends after {} of {} steps", path.string(), history_.size(), step_));
}

}  // namespace etude::apps
