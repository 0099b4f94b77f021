#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/device_options.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/training_run.h"
#include "engine/error.h"
#include "layers/model_file.h"

namespace etude::apps {
namespace {

constexpr const char* kExamples =
    R"(The folder gets model.safetensors (for `etude generate` and others), optimizer.safetensors (for
--resume) and steps.csv: at the end of every epoch, at the end, and on Ctrl-C or SIGTERM, which
end the program with status 130 or 143 once the step under way is made.

Examples:
  etude train --model triple --data data/demo/midi --out out/triple
  etude train --model triple --data data/demo/midi --out out/triple --resume
      goes on where that run stopped, with the same numbers as if it had not
  etude train --data maestro --sample 100 --split train --out out/m
  etude train --stack 5 --data data/demo/midi --out out/five --max-steps 300 --json)";

struct Options {
  DeviceOptions device;
  DataOptions data;
  ModelOptions model;
  TrainingOptions training;
  std::filesystem::path out, init;
  bool resume = false, force = false, json = false;
  int threads = 0;
};

void refuse_to_overwrite(const Options& o) {
  const auto path = o.out / "model.safetensors";
  if (!o.resume && !o.force && std::filesystem::exists(path))
    throw Error(
        fmt::format("{}: there is a trained model; --resume goes on with it, --force "
                    "replaces it",
                    path.string()));
}

void print(const RunFigures& f, const std::filesystem::path& out) {
  std::vector<std::string> losses;
  for (const double loss : f.epoch_losses) losses.push_back(fmt::format("{:.4f}", loss));
  fmt::print("{}: {} parameters, {} classes\n", f.model, f.parameters, f.classes);
  fmt::print("  steps               {}\n", f.steps);
  fmt::print("  loss per sample     {} (nats, by epoch)\n", fmt::join(losses, ", "));
  fmt::print("  ms a step           {:.1f} ({:.1f} to {:.1f}; data {:.2f}, model {:.1f})\n",
             f.times.median, f.times.min, f.times.max, f.times.data, f.times.model);
  fmt::print("  minutes             {:.2f}\n", f.minutes);
  fmt::print(
      "  files               {}\n",
      fmt::join(std::vector{(out / "model.safetensors").string(),
                            (out / "optimizer.safetensors").string(), (out / "steps.csv").string()},
                " "));
}

void print_json(const RunFigures& f, const std::filesystem::path& out) {
  auto json = to_json(f);
  json["files"] = {{"model", (out / "model.safetensors").string()},
                   {"optimizer", (out / "optimizer.safetensors").string()},
                   {"steps", (out / "steps.csv").string()}};
  fmt::print("{}\n", dump(json));
}

void train(const Options& o) {
  const OwnedStream stream = o.device.open();
  use_threads(o.threads);
  refuse_to_overwrite(o);
  const midi::Dataset dataset = load_data(o.data);
  Model model(make_config(o.model, dataset.vocabulary));
  if (!o.init.empty())
    load_weights(o.init, model);
  else if (!o.resume)
    model.initialise(o.training.seed);
  TrainingOptions training = o.training;
  training.roll = o.data.roll.over({});
  Trainer trainer(dataset, model, training, stream.get());
  prepare_folder(o.out);
  if (o.resume) trainer.resume(o.out);
  if (trainer.finished())
    tell_line(
        fmt::format("{}: this run is finished, all of its {} steps were made; more --epochs "
                    "or --max-steps would go on",
                    o.out.string(), trainer.last_step()));
  const std::string name = model.config().model;
  run_training(trainer, name, o.out, "the same command with --resume goes on");
  const RunFigures figures = figures_of(trainer, name, model.params().parameter_count());
  o.json ? print_json(figures, o.out) : print(figures, o.out);
}

}  // namespace

void add_train(CLI::App& program) {
  auto* command = program.add_subcommand("train", "Train one model");
  auto options = std::make_shared<Options>();
  add_data_options(*command, options->data);
  add_model_options(*command, options->model);
  add_gru_option(*command, options->model);
  add_training_options(*command, options->training);
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  command->add_option("--out", options->out, "Folder for the model and its record")->required();
  auto* init =
      command->add_option("--init", options->init, "Start from the weights of this model file");
  auto* resume =
      command->add_flag("--resume", options->resume, "Go on with the run in --out")->excludes(init);
  command->add_flag("--force", options->force, "Replace the run in --out")->excludes(resume);
  command->add_flag("--json", options->json, "The figures at the end as JSON");
  command->footer(kExamples);
  command->callback([options] { train(*options); });
}

}  // namespace etude::apps
