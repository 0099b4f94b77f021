#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/device_options.h"
#include "apps/evaluation.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/progress.h"
#include "engine/error.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(Every window of the data is one sample: 50 columns in, the next one to be guessed. Chords that the
model's vocabulary lacks become class 0. As inputs they stay; as targets they are left out of the
loss and of the accuracies, because no model can learn class 0, and counted: a low loss beside many
unknown targets says little.

Examples:
  etude evaluate --checkpoint out/triple/model.safetensors --data data/demo/midi
  etude evaluate --checkpoint out/m/model.safetensors --split validation --json \
    --data maestro)";

struct Options {
  DeviceOptions device;
  std::filesystem::path checkpoint;
  DataOptions data;
  int batch = 96;
  bool json = false;
  int threads = 0;
};

double part(int64_t count, int64_t of) {
  return of ? static_cast<double>(count) / static_cast<double>(of) : 0;
}

void print_json(const Options& o, const Checkpoint& checkpoint, const midi::Dataset& dataset,
                const Evaluation& e) {
  fmt::print("{}\n", dump(Json{{"checkpoint", o.checkpoint.string()},
                               {"model", checkpoint.model.config().model},
                               {"classes", checkpoint.model.config().classes},
                               {"data", o.data.path.string()},
                               {"songs", dataset.songs.size()},
                               {"skipped", dataset.skipped.size()},
                               {"windows", e.samples + e.unknown_targets},
                               {"samples", e.samples},
                               {"unknown_targets", e.unknown_targets},
                               {"steps_with_notes", dataset.steps_with_notes()},
                               {"unknown_tokens", dataset.unknown_tokens},
                               {"loss_per_sample", e.loss()},
                               {"perplexity", std::exp(e.loss())},
                               {"top1_accuracy", part(e.top1, e.samples)},
                               {"top5_accuracy", part(e.top5, e.samples)}}));
}

void print_text(const Options& o, const Checkpoint& checkpoint, const midi::Dataset& dataset,
                const Evaluation& e) {
  const int64_t windows = e.samples + e.unknown_targets;
  fmt::print("{} ({}) on {}\n", o.checkpoint.string(), checkpoint.model.config().model,
             o.data.path.string());
  fmt::print("  loss per sample   {:.4f} nats\n", e.loss());
  fmt::print("  perplexity        {:.2f} (of {} classes)\n", std::exp(e.loss()),
             checkpoint.model.config().classes);
  fmt::print("  top-1 accuracy    {:.2f} %\n", 100 * part(e.top1, e.samples));
  fmt::print("  top-5 accuracy    {:.2f} %\n", 100 * part(e.top5, e.samples));
  fmt::print("  samples           {} of {} windows; the other {} ({:.2f} %) have unknown targets\n",
             e.samples, windows, e.unknown_targets, 100 * part(e.unknown_targets, windows));
  fmt::print("  unknown tokens    {} of {} columns that sound\n", dataset.unknown_tokens,
             dataset.steps_with_notes());
}

void evaluate(const Options& o) {
  const OwnedStream stream = o.device.open();
  use_threads(o.threads);
  Checkpoint checkpoint = read_checkpoint(o.checkpoint);
  require_window(checkpoint, o.checkpoint);
  const midi::Dataset dataset = load_data(o.data, checkpoint);
  Evaluation evaluation;
  {
    Progress progress("evaluate", "windows", dataset.samples());
    evaluation = evaluate_model(checkpoint, dataset, o.batch, stream.get(),
                                [&](int64_t windows) { progress.advance(windows); });
  }
  o.json ? print_json(o, checkpoint, dataset, evaluation)
         : print_text(o, checkpoint, dataset, evaluation);
}

}  // namespace

void add_evaluate(CLI::App& program) {
  auto* command =
      program.add_subcommand("evaluate", "How well a model guesses the next column of music");
  auto options = std::make_shared<Options>();
  command->add_option("--checkpoint", options->checkpoint, "A model.safetensors")->required();
  add_data_options_beside_checkpoint(*command, options->data);
  command->add_option("--batch", options->batch, "Windows at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  command->add_flag("--json", options->json, "The figures as JSON");
  command->footer(kExamples);
  command->callback([options] { evaluate(*options); });
}

}  // namespace etude::apps
