#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/model_options.h"
#include "apps/trainer.h"
#include "layers/model_file.h"

namespace etude::apps {
namespace {

struct Options {
  DataOptions data;
  ModelOptions model;
  TrainingOptions training;
  std::filesystem::path out;
  std::filesystem::path init;
  bool resume = false;
  int threads = 0;
};

void train(const Options& o) {
  use_threads(o.threads);
  const midi::Dataset dataset = load_data(o.data);
  Model model(make_config(o.model, dataset.vocabulary.classes()));
  model.initialise(o.training.seed);
  if (!o.init.empty()) load_weights(o.init, model);
  std::filesystem::create_directories(o.out);
  Trainer trainer(dataset, model, o.training);
  if (o.resume) trainer.resume(o.out);
  while (!trainer.finished()) {
    const StepReport r = trainer.step();
    fmt::print(stderr, "step {} loss {:.4f} {:.1f} ms\n", r.step, r.loss_per_sample, r.model_ms);
  }
  trainer.save(o.out);
}

}  // namespace

void add_train(CLI::App& program) {
  auto* command = program.add_subcommand("train", "train one model");
  auto options = std::make_shared<Options>();
  add_data_options(*command, options->data);
  add_model_options(*command, options->model);
  add_training_options(*command, options->training);
  add_threads_option(*command, options->threads);
  command->add_option("--out", options->out, "folder for the model and its record")->required();
  command->add_option("--init", options->init, "start from the weights of this checkpoint");
  command->add_flag("--resume", options->resume, "go on with the run in --out");
  command->callback([options] { train(*options); });
}

}  // namespace etude::apps
