#include "apps/training_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <numeric>

#include "apps/durations.h"
#include "apps/progress.h"
#include "apps/statistics.h"
#include "apps/stop_request.h"
#include "engine/atomic_file.h"
#include "engine/error.h"

namespace etude::apps {
namespace {

constexpr int kPaperEpochs = 4;
constexpr size_t kRecent = 50;

double recent_loss(const StepRecord& record) {
  const size_t count = std::min(record.size(), kRecent);
  double sum = 0;
  for (size_t i = record.size() - count; i < record.size(); ++i) sum += record[i].loss_per_sample;
  return count ? sum / static_cast<double>(count) : 0;
}

void tell_epoch(Progress& progress, const Trainer& trainer) {
  const StepReport& last = trainer.record().back();
  double ms = 0;
  for (const StepReport& r : trainer.record())
    if (r.epoch == last.epoch) ms += r.total_ms();
  progress.stay(fmt::format("epoch {}/{}: loss {:.4f}, {}", last.epoch + 1,
                            trainer.options().epochs, epoch_losses(trainer.record()).back(),
                            format_duration(ms / 1000)));
}

[[noreturn]] void stop(int signal, const Trainer& trainer, const std::string& title,
                       const std::filesystem::path& folder, const std::string& how_to_resume) {
  const std::string where = folder.empty()
                                ? "nothing was saved"
                                : fmt::format("saved in {}; {}", folder.string(), how_to_resume);
  throw Interrupted(signal, fmt::format("{}: stopped by {} after step {} of {}; {}", title,
                                        signal == SIGINT ? "Ctrl-C" : "SIGTERM",
                                        trainer.steps_done(), trainer.last_step(), where));
}

}  // namespace

void check_writable(const std::filesystem::path& file) {
  if (std::filesystem::is_directory(file))
    throw Error(fmt::format("{}: cannot be written: it is a folder", file.string()));
  const AtomicFile probe(file);  // never committed
}

void prepare_folder(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  check_writable(folder / "steps.csv");
}

void run_training(Trainer& trainer, const std::string& title, const std::filesystem::path& folder,
                  const std::string& how_to_resume) {
  StopRequest request;
  Progress progress(title, "steps", trainer.last_step(), trainer.steps_done());
  while (!trainer.finished()) {
    trainer.advance();
    const StepReport& report = trainer.record().back();
    progress.advance(report.step,
                     fmt::format("epoch {}/{}  loss {:.4f}", report.epoch + 1,
                                 trainer.options().epochs, recent_loss(trainer.record())));
    const bool stopped = request.signal() != 0 && !trainer.finished();
    if (trainer.between_epochs()) tell_epoch(progress, trainer);
    if (!folder.empty() && (trainer.between_epochs() || trainer.finished() || stopped))
      trainer.save(folder);
    if (stopped) stop(request.signal(), trainer, title, folder, how_to_resume);
  }
}

StepRecord timed_steps(const StepRecord& record, int64_t warmup) {
  const auto last = std::max<int64_t>(std::ssize(record) - 1, 0);
  return {record.begin() + std::min(warmup, last), record.end()};
}

StepTimes step_times(const StepRecord& record, int64_t warmup) {
  StepTimes times;
  if (record.empty()) return times;
  times.first = record.front().total_ms();
  std::vector<double> total, data, model;
  for (const StepReport& r : timed_steps(record, warmup)) {
    total.push_back(r.total_ms());
    data.push_back(r.data_ms);
    model.push_back(r.model_ms);
  }
  times.median = median(total);
  times.data = median(data);
  times.model = median(model);
  times.min = *std::min_element(total.begin(), total.end());
  times.max = *std::max_element(total.begin(), total.end());
  times.mean = std::accumulate(total.begin(), total.end(), 0.0) / static_cast<double>(total.size());
  return times;
}

RunFigures figures_of(Trainer& trainer, const std::string& name, int64_t parameters) {
  const StepRecord& record = trainer.record();
  RunFigures f{};
  f.model = name;
  f.parameters = parameters;
  f.classes = trainer.model().config().classes;
  f.steps = trainer.steps_done();
  f.steps_of_four_epochs = trainer.steps_of_epochs(kPaperEpochs);
  f.epoch_losses = epoch_losses(record);
  f.last_loss = recent_loss(record);
  f.times = step_times(record, trainer.options().warmup_steps);
  for (const StepReport& r : record) f.minutes += r.total_ms() / 60000;
  f.projected = f.steps != f.steps_of_four_epochs;
  f.minutes_four_epochs =
      f.projected ? f.times.mean * static_cast<double>(f.steps_of_four_epochs) / 60000 : f.minutes;
  return f;
}

nlohmann::ordered_json to_json(const RunFigures& f) {
  return {{"name", f.model},
          {"parameters", f.parameters},
          {"classes", f.classes},
          {"steps", f.steps},
          {"loss_per_epoch", f.epoch_losses},
          {"last_loss", f.last_loss},
          {"ms_per_step", {{"median", f.times.median}, {"min", f.times.min}, {"max", f.times.max}}},
          {"first_step_ms", f.times.first},
          {"data_ms", f.times.data},
          {"model_ms", f.times.model},
          {"minutes", f.minutes},
          {"steps_of_4_epochs", f.steps_of_four_epochs},
          {"minutes_4_epochs", f.minutes_four_epochs},
          {"projected", f.projected}};
}

}  // namespace etude::apps
