#include "apps/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/checkpoint.h"
#include "engine/atomic_file.h"
#include "engine/error.h"
#include "kernels/costs.h"

namespace etude::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kRunPrefix = "run.";

double milliseconds(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// A checkpoint with such numbers could not be read again.
void require_finite(ParamSet& params, int64_t step) {
  const float* values = params.on_host(ParamSet::Flat::values);
  if (!std::all_of(values, values + params.flat_size(), [](float v) { return std::isfinite(v); }))
    throw Error(
        fmt::format("step {}: weights are not finite any more; nothing was saved since. A "
                    "smaller --learning-rate may help",
                    step));
}

void require_same_run(const std::filesystem::path& path, const Metadata& stored,
                      const Metadata& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = stored.find(key);
    if (found == stored.end())
      throw Error(fmt::format("{}: header: no entry {}", path.string(), key));
    if (found->second != value)
      throw Error(fmt::format("{}: header: it belongs to another run: {} is {} there and {} here",
                              path.string(), key.substr(std::string_view(kRunPrefix).size()),
                              found->second, value));
  }
}

void require_steps(const std::filesystem::path& path, const Metadata& stored, int64_t steps) {
  const auto found = stored.find("steps");
  if (found == stored.end() || found->second != fmt::format("{}", steps))
    throw Error(fmt::format("{}: header: saved after {} steps, its optimizer.safetensors after {}",
                            path.string(), found == stored.end() ? "unknown" : found->second,
                            steps));
}

}  // namespace

Trainer::Trainer(const midi::Dataset& dataset, Model& model, const TrainingOptions& options,
                 const kernels::Stream& stream)
    : dataset_(dataset),
      model_(model),
      options_(options),
      session_(make_session(model, Nadam(options.nadam, options.embedding_update), options.seed,
                            stream)) {
  if (model.config().window != midi::kWindow)
    throw Error(fmt::format("training windows have {} tokens, the model wants {}", midi::kWindow,
                            model.config().window));
  const int64_t most = options.max_steps > 0 ? options.max_steps : INT64_MAX;
  for (int epoch = 0; epoch < options.epochs && last_step_ < most; ++epoch)
    last_step_ += steps_of_epoch(epoch);
  last_step_ = std::min(last_step_, most);
  inputs_.resize(static_cast<size_t>(options.batch * midi::kWindow));
  targets_.resize(static_cast<size_t>(options.batch));
  if (options.as_published)
    feed_.emplace(dataset, options.roll, options.song_group, options.batch);
  else if (stream.device != kernels::Device::cpu)
    session_.set_tokens(dataset.tokens);
  begin_epoch(0);
}

int64_t Trainer::steps_of_epoch(int epoch) {
  // Which windows are left over depends on how the epoch groups the songs.
  for (auto known = static_cast<int>(steps_of_epoch_.size()); known <= epoch; ++known) {
    const auto order =
        midi::epoch_order(dataset_, options_.seed, known, options_.song_group, options_.batch);
    if (order.empty())
      throw Error(
          fmt::format("{} windows are too few for a minibatch of {}: give more pieces or a "
                      "smaller --batch",
                      dataset_.samples(), options_.batch));
    steps_of_epoch_.push_back(static_cast<int64_t>(order.size()) / options_.batch);
  }
  return steps_of_epoch_[static_cast<size_t>(epoch)];
}

int64_t Trainer::steps_of_epochs(int epochs) {
  int64_t steps = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) steps += steps_of_epoch(epoch);
  return steps;
}

void Trainer::begin_epoch(int epoch, int64_t position) {
  epoch_ = epoch;
  position_ = position;
  if (feed_) return read_up_to(epoch, position);
  order_ = midi::epoch_order(dataset_, options_.seed, epoch, options_.song_group, options_.batch);
  if (session_.stream().device != kernels::Device::cpu)
    session_.plan(std::span(order_).subspan(static_cast<size_t>(position * options_.batch)),
                  options_.batch, midi::kWindow);
}

void Trainer::read_up_to(int epoch, int64_t position) {
  feed_->begin_epoch(options_.seed, epoch);
  while (position > 0) {
    if (feed_->left() == 0) feed_->read_group();
    const int64_t skipped = std::min(position, feed_->left());
    feed_->skip(skipped);
    position -= skipped;
  }
}

void Trainer::advance() {
  if (feed_ || session_.stream().device == kernels::Device::cpu)
    step_from_host();
  else
    steps_on_device();
  if (position_ == steps_of_epoch(epoch_)) {
    position_ = 0;
    if (!finished()) begin_epoch(epoch_ + 1);
  }
}

void Trainer::step_from_host() {
  const kernels::Span step(kernels::SpanKind::step, "step");
  const double data_ms = feed_ ? read_minibatch() : gather_minibatch();
  const auto start = Clock::now();
  const Batch batch{options_.batch, midi::kWindow, inputs_.data(), targets_.data()};
  const double loss = session_.train_step(batch);
  record(loss, data_ms, milliseconds(Clock::now() - start));
}

double Trainer::gather_minibatch() {
  const kernels::Span stage(kernels::SpanKind::stage, "data");
  const kernels::KernelSpan span("gather_minibatch",
                                 kernels::cost::windows(options_.batch, midi::kWindow));
  const auto start = Clock::now();
  for (int i = 0; i < options_.batch; ++i) {
    const int64_t offset = order_[static_cast<size_t>(position_ * options_.batch + i)];
    std::copy_n(dataset_.input(offset), midi::kWindow, inputs_.data() + i * midi::kWindow);
    targets_[static_cast<size_t>(i)] = dataset_.target(offset);
  }
  return milliseconds(Clock::now() - start);
}

// A group's reading is shared out among its minibatches, so that few steps tell what many cost.
double Trainer::read_minibatch() {
  const kernels::Span stage(kernels::SpanKind::stage, "data");
  const kernels::KernelSpan span("read_minibatch");
  auto start = Clock::now();
  if (feed_->left() == 0) {
    while (feed_->left() == 0) feed_->read_group();
    group_ms_ = milliseconds(Clock::now() - start) / static_cast<double>(feed_->left());
    start = Clock::now();
  }
  feed_->next(inputs_.data(), targets_.data());
  return group_ms_ + milliseconds(Clock::now() - start);
}

// The minibatches are put together on the device: that is part of the step there.
void Trainer::steps_on_device() {
  constexpr int64_t kAtOnce = 64;
  const int64_t left = std::min(last_step_ - step_, steps_of_epoch(epoch_) - position_);
  const bool gpu = session_.stream().device == kernels::Device::cuda;
  const int64_t warm = options_.warmup_steps - step_;
  const int64_t most = step_ == 0 || !gpu ? 1 : warm > 0 ? std::min(warm, kAtOnce) : kAtOnce;
  const int64_t count = std::min(left, most);
  const auto start = Clock::now();
  const std::vector<double> losses = session_.run(count);
  const double ms = milliseconds(Clock::now() - start) / static_cast<double>(count);
  for (const double loss : losses) record(loss, 0, ms);
}

void Trainer::record(double loss, double data_ms, double model_ms) {
  ++step_;
  ++position_;
  const double per_sample = loss / options_.batch;
  if (!std::isfinite(per_sample))
    throw Error(
        fmt::format("step {}: the loss is not finite any more; a smaller --learning-rate "
                    "may help",
                    step_));
  record_.push_back({step_, epoch_, per_sample, data_ms, model_ms});
}

Metadata Trainer::identity() const {
  Metadata run;
  const auto add = [&run](const std::string& key, const std::string& value) {
    run[kRunPrefix + key] = value;
  };
  add("model", model_.config().model);
  const auto config = nlohmann::json::parse(to_json(model_.config()));
  for (const auto& [key, value] : config.items()) add(key, value.dump());
  for (const auto& [key, value] : roll_metadata(options_.roll)) add(key, value);
  add("sha256 of windows", midi::sha256_windows(dataset_));
  add("sha256 of vocabulary", dataset_.vocabulary.sha256());
  add("seed", fmt::format("{}", options_.seed));
  add("batch", fmt::format("{}", options_.batch));
  add("song-group", fmt::format("{}", options_.song_group));
  add("learning-rate", fmt::format("{}", options_.nadam.learning_rate));
  add("embedding-update", options_.embedding_update == EmbeddingUpdate::dense ? "dense" : "sparse");
  return run;
}

void Trainer::save(const std::filesystem::path& folder) {
  require_finite(model_.params(), step_);
  Metadata more = roll_metadata(options_.roll);
  more["steps"] = fmt::format("{}", step_);
  // The record first: one that is longer than the model's steps is cut when the run goes on.
  write_file(folder / "steps.csv", to_csv(record_));
  save_optimizer(folder / "optimizer.safetensors", model_.params(), session_.optimizer(),
                 identity());
  save_model(folder / "model.safetensors", model_, dataset_.vocabulary.tokens(), more);
}

void Trainer::resume(const std::filesystem::path& folder) {
  const auto model_path = folder / "model.safetensors", path = folder / "optimizer.safetensors";
  const Metadata model = load_weights(model_path, model_);
  require_same_run(path, load_optimizer(path, model_.params(), session_.optimizer()), identity());
  const int64_t steps = session_.optimizer().state().step;
  require_steps(model_path, model, steps);
  record_ = read_step_record(folder / "steps.csv");
  if (steps < 0 || static_cast<int64_t>(record_.size()) < steps)
    throw Error(fmt::format("{}: it ends after {} of {} steps", (folder / "steps.csv").string(),
                            record_.size(), steps));
  record_.resize(static_cast<size_t>(steps));
  go_to_step(steps);
}

void Trainer::go_to_step(int64_t step) {
  step_ = step;
  int epoch = 0;
  int64_t before = 0;
  while (step - before >= steps_of_epoch(epoch)) before += steps_of_epoch(epoch++);
  begin_epoch(epoch, step - before);
}

}  // namespace etude::apps
