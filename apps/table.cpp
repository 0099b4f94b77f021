#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/device_options.h"
#include "apps/durations.h"
#include "apps/machine.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/training_run.h"
#include "engine/atomic_file.h"
#include "engine/error.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(A step is one minibatch: putting it together (data), then forward, backward and update (model). The
first step of each model sizes the memory (and on a GPU is captured) and is kept out of the median,
the least and the most. A GPU's steps are timed by 64, each of which counts with their mean.
The 4 epochs are measured where they were run and otherwise projected: the mean step, times the
steps that 4 epochs have. The paper's figures are its Table I; its hardware is unnamed, and a
part of them is its notebook's data handling.

Examples:
  etude table --data data/demo/midi --max-steps 20
  etude table --data maestro-v3.0.0/maestro-v3.0.0.csv --sample 100 --json > table.json
  etude table --data data/demo/midi --out out/demo    keeps models and records, for `etude report`
  etude table --data data/demo/midi --max-steps 20 --models rnn,triple --stack 5)";

struct Options {
  DeviceOptions device;
  DataOptions data;
  ModelOptions model;
  TrainingOptions training;
  std::vector<std::string> models = table_models();
  std::filesystem::path out;
  bool json = false, force = false;
  int threads = 0;
};

struct Row {
  RunFigures figures;
  double peak_memory_mib;    // the host's
  double device_memory_mib;  // arrays; 0 on the CPU
};

double paper_minutes(const std::string& model) {
  static const std::map<std::string, double> minutes = {{"rnn", 79 + 39.0 / 60},
                                                        {"attention", 19 + 15.0 / 60},
                                                        {"single", 26 + 42.0 / 60},
                                                        {"double", 18 + 33.0 / 60},
                                                        {"triple", 20 + 28.0 / 60}};
  const auto found = minutes.find(model);
  return found == minutes.end() ? 0 : found->second;
}

// By row: the options of each model. A stack of --stack comes last.
std::vector<ModelOptions> rows_of(const Options& o) {
  std::vector<ModelOptions> rows;
  for (const std::string& name : o.models) {
    rows.push_back(o.model);
    rows.back().model = name;
    rows.back().stack.reset();
  }
  if (o.model.stack) rows.push_back(o.model);
  return rows;
}

std::string row_name(const ModelOptions& row) {
  return row.stack ? fmt::format("stack-{}", *row.stack) : row.model;
}

void refuse_repeated(std::vector<std::string> models) {
  std::sort(models.begin(), models.end());
  const auto twice = std::adjacent_find(models.begin(), models.end());
  if (twice != models.end()) throw Error(fmt::format("--models: {} stands there twice", *twice));
}

void refuse_to_overwrite(const Options& o) {
  if (o.out.empty() || o.force) return;
  std::vector<std::filesystem::path> results = {o.out / "table.json"};
  for (const ModelOptions& row : rows_of(o))
    results.push_back(o.out / row_name(row) / "model.safetensors");
  for (const auto& path : results)
    if (std::filesystem::exists(path))
      throw Error(fmt::format("{}: it is there already; --force replaces the table and its models",
                              path.string()));
}

Row run_row(const Options& o, const ModelOptions& row, const midi::Dataset& dataset,
            const kernels::Stream& stream) {
  forget_peak_memory();
  const std::string name = row_name(row);
  const auto folder = o.out.empty() ? o.out : o.out / name;
  if (!folder.empty()) prepare_folder(folder);
  Model model(make_config(row, dataset.vocabulary));
  model.initialise(o.training.seed);
  TrainingOptions training = o.training;
  training.roll = o.data.roll.over({});
  Trainer trainer(dataset, model, training, stream);
  run_training(trainer, name, folder, "`etude train --resume` can go on with it");
  return {figures_of(trainer, name, model.params().parameter_count()), peak_memory_mib(),
          static_cast<double>(trainer.device_bytes()) / (1 << 20)};
}

Json to_json(const Row& row) {
  Json json = to_json(row.figures);
  const double paper = paper_minutes(row.figures.model);
  json["paper_minutes"] = paper > 0 ? Json(paper) : Json();
  json["peak_memory_mib"] = row.peak_memory_mib;
  json["device_memory_mib"] = row.device_memory_mib > 0 ? Json(row.device_memory_mib) : Json();
  return json;
}

Json to_json(const Options& o, const midi::Dataset& dataset, double seconds_to_read,
             const std::vector<Row>& rows) {
  Json json;
  json["machine"] = to_json(this_machine());
  json["data"] = {{"path", o.data.path.string()},        {"songs", dataset.songs.size()},
                  {"skipped", dataset.skipped.size()},   {"samples", dataset.samples()},
                  {"tokens", dataset.vocabulary.size()}, {"fs", o.data.roll.over({}).fs},
                  {"seconds_to_read", seconds_to_read}};
  json["training"] = {{"epochs", o.training.epochs},
                      {"batch", o.training.batch},
                      {"song_group", o.training.song_group},
                      {"seed", o.training.seed},
                      {"max_steps", o.training.max_steps},
                      {"dropout", o.model.dropout.value_or(0.3)},
                      {"learning_rate", o.training.nadam.learning_rate},
                      {"device", name(o.device.device)},
                      {"device_name", device_name(o.device.device)},
                      {"precision", name(o.device.precision)}};
  for (const Row& row : rows) json["models"].push_back(to_json(row));
  return json;
}

std::string losses(const std::vector<double>& epochs) {
  std::string text;
  for (const double loss : epochs) text += fmt::format("{}{:.2f}", text.empty() ? "" : " ", loss);
  return text;
}

// The paper's Table I: what it says, beside what was measured here.
std::string text_table(const std::vector<Row>& rows) {
  size_t wide = 16;
  for (const Row& row : rows) wide = std::max(wide, losses(row.figures.epoch_losses).size());
  std::string text =
      fmt::format("{:<12}{:>11} {:>6}  {:<{}} {:>8} {:>8} {:>8} {:>7} {:>8}  {:<17} {:>6}\n",
                  "model", "parameters", "steps", "loss by epoch", wide, "ms/step", "least", "most",
                  "data", "model", "4 epochs, min:s", "paper");
  for (const Row& row : rows) {
    const RunFigures& f = row.figures;
    const double paper = paper_minutes(f.model);
    text += fmt::format(
        "{:<12}{:>11} {:>6}  {:<{}} {:>8.1f} {:>8.1f} {:>8.1f} {:>7.3f} {:>8.1f}  {:<17} {:>6}\n",
        f.model, f.parameters, f.steps, losses(f.epoch_losses), wide, f.times.median, f.times.min,
        f.times.max, f.times.data, f.times.model,
        fmt::format("{} {}", clock_time(f.minutes_four_epochs),
                    f.projected ? "projected" : "measured"),
        paper > 0 ? clock_time(paper) : "");
  }
  return text;
}

// "; on the device (NVIDIA H100, tf32): 812 MiB"
std::string on_device(const Options& o, double memory_mib) {
  if (o.device.device == kernels::Device::cpu) return {};
  return fmt::format("; on the device ({}, {}): {:.0f} MiB", device_name(o.device.device),
                     name(o.device.precision), memory_mib);
}

void print_table(const Options& o, const midi::Dataset& dataset, double seconds_to_read,
                 const std::vector<Row>& rows) {
  const Machine machine = this_machine();
  double peak = 0, device = 0;
  for (const Row& row : rows) {
    peak = std::max(peak, row.peak_memory_mib);
    device = std::max(device, row.device_memory_mib);
  }
  fmt::print("{}: {} pieces, {} samples, {} tokens, read in {:.2f} s\n", o.data.path.string(),
             dataset.songs.size(), dataset.samples(), dataset.vocabulary.size(), seconds_to_read);
  fmt::print("minibatches of {}; {}, threads: {}; peak memory {:.0f} MiB{}\n\n{}", o.training.batch,
             machine.processor, machine.threads, peak, on_device(o, device), text_table(rows));
}

void table(const Options& o) {
  const OwnedStream stream = o.device.open();
  use_threads(o.threads);
  refuse_repeated(o.models);
  refuse_to_overwrite(o);
  const auto start = std::chrono::steady_clock::now();
  const midi::Dataset dataset = load_data(o.data);
  if (!o.out.empty()) prepare_folder(o.out);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<Row> rows;
  for (const ModelOptions& row : rows_of(o)) rows.push_back(run_row(o, row, dataset, stream.get()));
  const std::string json = dump(to_json(o, dataset, seconds, rows)) + "\n";
  if (!o.out.empty()) write_file(o.out / "table.json", json);
  o.json ? fmt::print("{}", json) : print_table(o, dataset, seconds, rows);
}

}  // namespace

void add_table(CLI::App& program) {
  auto* command =
      program.add_subcommand("table", "The five models in turn: parameters, loss, time");
  auto options = std::make_shared<Options>();
  add_data_options(*command, options->data);
  std::vector<std::string> names = model_names();
  std::erase(names, "stack");
  command->add_option("--models", options->models, "Which, joined by commas")
      ->delimiter(',')
      ->default_str("rnn,attention,single,double,triple")
      ->check(CLI::IsMember(names));
  add_stack_option(*command, options->model, "Also a stack of so many bidirectional GRUs");
  add_classes_option(*command, options->model);
  add_shared_model_options(*command, options->model);
  add_training_options(*command, options->training);
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  auto* out = command->add_option("--out", options->out,
                                  "Folder for table.json and, below it, each model and its record");
  command->add_flag("--force", options->force, "Replace the table in --out")->needs(out);
  command->add_flag("--json", options->json, "The table as JSON");
  command->footer(kExamples);
  command->callback([options] { table(*options); });
}

}  // namespace etude::apps
