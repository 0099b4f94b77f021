#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/device_options.h"
#include "apps/machine.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/table_formats.h"
#include "apps/training_run.h"
#include "engine/atomic_file.h"
#include "engine/error.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(A step is one minibatch: putting it together (data), then forward, backward and update (model).
The first steps (--warmup-steps) size the memory, fill the caches and on a GPU are captured; they are
trained but not counted. A GPU's steps are timed by 64, each of which counts with their mean.
With --repeats every model is trained so often from the same seed, the models by turns. The 4 epochs are
measured where they were run and otherwise projected: the mean step, times the steps that 4 epochs
have. The paper's figures are its Table I; its hardware is unnamed, and a part of them is its notebook's
data handling: --as-published feeds as it does (files parsed and windows rebuilt for every 16 songs of
every epoch), with the same minibatches and losses; the data column shows the difference.

Examples:
  etude table --data data/demo/midi --max-steps 20 --repeats 3
  etude table --data maestro --sample 100 --json > table.json
  etude table --data data/demo/midi --out out/demo    keeps models and records, for `etude report`
  etude table --data data/demo/midi --max-steps 20 --models rnn,triple --stack 5
  etude table --data data/demo/midi --max-steps 20 --as-published
  etude table --data data/demo/midi --max-steps 20 --models rnn,double --gru stepwise --markdown)";

struct Options {
  DeviceOptions device;
  DataOptions data;
  ModelOptions model;
  TrainingOptions training;
  std::vector<std::string> models = table_models();
  std::filesystem::path out;
  bool json = false, markdown = false, csv = false, force = false;
  int threads = 0, repeats = 1;
};

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

// One measurement; of the first one the folder keeps the model and its record.
Repeat measure(const Options& o, const ModelOptions& row, int number, const midi::Dataset& dataset,
               const kernels::Stream& stream) {
  forget_peak_memory();
  const std::string name = row_name(row);
  const auto folder = o.out.empty() || number > 0 ? std::filesystem::path() : o.out / name;
  if (!folder.empty()) prepare_folder(folder);
  Model model(make_config(row, dataset.vocabulary));
  model.initialise(o.training.seed);
  TrainingOptions training = o.training;
  training.roll = o.data.roll.over({});
  Trainer trainer(dataset, model, training, stream);
  const std::string title =
      o.repeats > 1 ? fmt::format("{} ({}/{})", name, number + 1, o.repeats) : name;
  run_training(trainer, title, folder, "`etude train --resume` can go on with it");
  Repeat repeat{figures_of(trainer, name, model.params().parameter_count()),
                {},
                peak_memory_mib(),
                static_cast<double>(trainer.device_bytes()) / (1 << 20)};
  for (const StepReport& step : timed_steps(trainer.record(), training.warmup_steps))
    repeat.step_ms.push_back(step.total_ms());
  return repeat;
}

// The models by turns, so that what disturbs the machine meets all of them alike.
std::vector<TableRow> measure_all(const Options& o, const midi::Dataset& dataset,
                                  const kernels::Stream& stream) {
  const std::vector<ModelOptions> models = rows_of(o);
  std::vector<std::vector<Repeat>> repeats(models.size());
  for (int number = 0; number < o.repeats; ++number)
    for (size_t i = 0; i < models.size(); ++i)
      repeats[i].push_back(measure(o, models[i], number, dataset, stream));
  std::vector<TableRow> rows;
  for (const auto& of_model : repeats) rows.push_back(make_row(of_model));
  return rows;
}

Json to_json(const Options& o, const midi::Dataset& dataset, double seconds_to_read,
             const std::vector<TableRow>& rows) {
  Json json = table_head();
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
                      {"warmup_steps", o.training.warmup_steps},
                      {"repeats", o.repeats},
                      {"as_published", o.training.as_published},
                      {"gru", name(o.model.gru)},
                      {"dropout", o.model.dropout.value_or(0.3)},
                      {"learning_rate", o.training.nadam.learning_rate},
                      {"device", name(o.device.device)},
                      {"device_name", device_name(o.device.device)},
                      {"precision", name(o.device.precision)}};
  for (const TableRow& row : rows) json["models"].push_back(to_json(row));
  return json;
}

// "; on the device (NVIDIA H100, tf32): 812 MiB"
std::string on_device(const Options& o, const std::vector<TableRow>& rows) {
  if (o.device.device == kernels::Device::cpu) return {};
  const double most = std::ranges::max(rows, {}, &TableRow::device_memory_mib).device_memory_mib;
  return fmt::format("; on the device ({}, {}): {:.0f} MiB", device_name(o.device.device),
                     name(o.device.precision), most);
}

// What was measured, on what: two lines.
std::string facts(const Options& o, const midi::Dataset& dataset, double seconds_to_read,
                  const std::vector<TableRow>& rows) {
  const Machine machine = this_machine();
  return fmt::format("{}: {} pieces, {} samples, {} tokens, read in {:.2f} s\n",
                     o.data.path.string(), dataset.songs.size(), dataset.samples(),
                     dataset.vocabulary.size(), seconds_to_read) +
         fmt::format("minibatches of {}{}; GRU: {}; {}, threads: {}{}\n", o.training.batch,
                     o.training.as_published ? ", fed as published" : "", name(o.model.gru),
                     machine.processor, machine.threads, on_device(o, rows));
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
  const std::vector<TableRow> rows = measure_all(o, dataset, stream.get());
  const std::string about = facts(o, dataset, seconds, rows);
  const std::string json = dump(to_json(o, dataset, seconds, rows)) + "\n";
  const std::string csv = csv_table(rows);
  const std::string markdown =
      about + "\n" + markdown_table(rows) + "\n" + table_legend(rows) + "\n";
  if (!o.out.empty()) {
    write_file(o.out / "table.json", json);
    write_file(o.out / "table.csv", csv);
    write_file(o.out / "table.md", markdown);
  }
  fmt::print("{}", o.json       ? json
                   : o.csv      ? csv
                   : o.markdown ? markdown
                                : about + "\n" + text_table(rows));
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
  add_gru_option(*command, options->model);
  add_training_options(*command, options->training);
  command->add_option("--warmup-steps", options->training.warmup_steps, "Steps not counted")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--repeats", options->repeats, "Measurements of each model, by turns")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag("--as-published", options->training.as_published,
                    "Feed as the paper's notebook: files parsed again in every epoch");
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  auto* out =
      command->add_option("--out", options->out,
                          "Folder for table.json, table.csv and table.md and, below it, each "
                          "model and its record");
  command->add_flag("--force", options->force, "Replace the table in --out")->needs(out);
  auto* json = command->add_flag("--json", options->json, "The table as JSON");
  auto* csv = command->add_flag("--csv", options->csv, "The table as CSV")->excludes(json);
  command->add_flag("--markdown", options->markdown, "The table as Markdown")
      ->excludes(json)
      ->excludes(csv);
  command->footer(kExamples);
  command->callback([options] { table(*options); });
}

}  // namespace etude::apps
