#include "apps/profile_report.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/device_options.h"
#include "apps/made_up_data.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/report/profile_page.h"
#include "apps/report/roofline_svg.h"
#include "apps/training_run.h"
#include "engine/atomic_file.h"
#include "kernels/dispatch.h"
#include "kernels/precision.h"

namespace etude::apps {
namespace {

constexpr const char* kExamples =
    R"(Steps with a profiler that listens and steps without, by turns. docs/profile.md tells how to read it.
Without --data the tokens are made up, at the paper's size and as frequent as in music.

Examples:
  etude profile --model triple
  etude profile --model rnn --data data/demo/midi --out out/profile     a page with pictures
  etude profile --model triple --trace out/triple.json                  then open it in ui.perfetto.dev
  etude profile --model single --json > single.json)";

constexpr int64_t kPaperClasses = 36'011;

struct Options {
  DeviceOptions device;
  DataOptions data;
  ModelOptions model;
  TrainingOptions training;
  std::filesystem::path out, trace;
  int64_t steps = 0;
  int threads = 0;
  bool json = false;
};

kernels::Ceilings ceilings_of(const kernels::Stream& stream) {
  if (stream.device == kernels::Device::simt) return {};  // the emulator's
  if (stream.device == kernels::Device::cpu) {
    kernels::cpu::use_precision(stream.precision);  // as a step does
    return kernels::cpu::probe_ceilings();
  }
  return ON_DEVICE(stream, probe_ceilings);
}

// What else runs on the machine holds a probe back, never the other way about.
kernels::Ceilings best_of(kernels::Ceilings a, const kernels::Ceilings& b) {
  a.copy_bytes_per_second = std::max(a.copy_bytes_per_second, b.copy_bytes_per_second);
  a.matmul_flops_per_second = std::max(a.matmul_flops_per_second, b.matmul_flops_per_second);
  return a;
}

midi::Dataset data_of(const Options& o) {
  if (!o.data.path.empty()) return load_data(o.data);
  const int64_t classes = o.model.classes ? o.model.classes : kPaperClasses;
  return made_up_data(classes, int64_t{256} * o.training.batch);
}

ModelConfig config_of(const Options& o, const midi::Dataset& dataset) {
  if (!o.data.path.empty()) return make_config(o.model, dataset.vocabulary);
  return make_config(o.model, o.model.classes ? o.model.classes : kPaperClasses);
}

int64_t steps_of(const Options& o) {
  if (o.steps > 0) return o.steps;
  return o.device.device == kernels::Device::simt ? 1 : 20;
}

// Before minutes of work, not after.
void check_places(const Options& o) {
  if (!o.trace.empty()) check_writable(o.trace);
  if (!o.out.empty()) prepare_folder(o.out);
}

void write_results(const Options& o, const Profiled& profiled,
                   const nlohmann::ordered_json& trace) {
  const auto write = [](const std::filesystem::path& path, const std::string& content) {
    write_file(path, content);
    tell_line(fmt::format("written: {}", path.string()));
  };
  if (!o.trace.empty()) write(o.trace, trace.dump());
  if (o.out.empty()) return;
  write(o.out / "profile.html", report::profile_page(profiled));
  write(o.out / "roofline.svg", report::roofline_svg(profiled));
  write(o.out / "layers.svg", report::layers_svg(profiled));
  write(o.out / "profile.json", dump(to_json(profiled)) + "\n");
  write(o.out / "trace.json", trace.dump());
}

void run_profile(Options o) {
  const OwnedStream stream = o.device.open();
  use_threads(o.threads);
  check_places(o);
  const midi::Dataset dataset = data_of(o);
  Model model(config_of(o, dataset));
  model.initialise(o.training.seed);
  const int64_t steps = steps_of(o);
  o.training.max_steps = steps_to_profile(stream.get(), steps);
  o.training.epochs = INT_MAX;
  Trainer trainer(dataset, model, o.training, stream.get());

  if (o.device.device != kernels::Device::simt)
    tell_line("measuring the machine's ceilings, before the steps and behind them");
  const kernels::Ceilings ceilings = ceilings_of(stream.get());
  Trace trace(stream.get());
  const std::string name = o.model.stack ? fmt::format("stack-{}", *o.model.stack) : o.model.model;
  Progress progress("profile " + name, "steps", steps);
  const Profile profile = profile_training(trainer, trace, steps, progress);
  const Profiled profiled{name,
                          o.data.path.empty() ? "made up" : o.data.path.string(),
                          device_name(o.device.device),
                          apps::name(o.device.precision),
                          o.training.batch,
                          model.config().window,
                          model.config().classes,
                          best_of(ceilings, ceilings_of(stream.get())),
                          profile};
  write_results(o, profiled,
                chrome_trace(trace.events(), "a training step of " + name, profiled.ceilings));
  fmt::print("{}", o.json ? dump(to_json(profiled)) + "\n" : describe(profiled));
}

}  // namespace

void add_profile(CLI::App& program) {
  auto* command = program.add_subcommand(
      "profile", "A training step taken apart: time by layer and kernel, beside its floor");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model);
  add_optional_data_options(*command, options->data);
  command->add_option("--batch", options->training.batch, "Windows of a minibatch")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command
      ->add_option("--embedding-update", options->training.embedding_update,
                   "dense (all rows move, as in PyTorch) or sparse (as in TensorFlow)")
      ->option_text("dense|sparse [dense]")
      ->transform(CLI::CheckedTransformer(std::map<std::string, EmbeddingUpdate>{
          {"dense", EmbeddingUpdate::dense}, {"sparse", EmbeddingUpdate::sparse}}));
  command->add_option("--steps", options->steps, "Profiled steps; as many others run between them")
      ->default_str("20; 1 under simt")
      ->check(CLI::Range(1, 10'000));
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  command->add_option("--out", options->out,
                      "Folder for profile.html, its pictures, profile.json and trace.json");
  command->add_option("--trace", options->trace,
                      "File for the steps as Chrome's trace events, which Perfetto reads");
  command->add_flag("--json", options->json, "The tables as JSON");
  command->footer(kExamples);
  command->callback([options] { run_profile(*options); });
}

}  // namespace etude::apps
