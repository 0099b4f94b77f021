#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "apps/commands.h"
#include "apps/device_options.h"
#include "apps/machine.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "apps/number_checks.h"
#include "apps/statistics.h"
#include "engine/random.h"
#include "engine/session.h"
#include "layers/models.h"

namespace etude::apps {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(Without data: the tokens are invented, token n as likely as 1/n, about as words are. What a step
computes does not depend on them, apart from how many different ones a minibatch has. A GPU's steps are
timed by 16, each of which counts with their mean.

Examples:
  etude step --model triple                          the paper's sizes
  etude step --model rnn --batch 384 --window 200 --units 256 --vocab 5000 --json
  etude step --stack 8 --threads 1 --steps 3 --seconds 2
  etude step --model double --gru stepwise           off the fast path)";

struct Options {
  DeviceOptions device;
  ModelOptions model;
  int64_t batch = 96, steps = 10, warmup = 2;
  double seconds = 0;
  uint64_t seed = 1;
  int threads = 0;
  bool json = false;
};

double milliseconds(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// Training steps on invented tokens.
class Steps {
 public:
  Steps(const Options& o, Model& model, const kernels::Stream& stream)
      : batch_(o.batch),
        window_(model.config().window),
        random_(o.seed, 0, RandomSequence::kCompositionStep),
        session_(make_session(model, Nadam(), o.seed, stream)) {
    constexpr int64_t kTokens = 1 << 16;
    const auto classes = static_cast<double>(model.config().classes);
    for (int64_t i = 0; i < kTokens + window_; ++i)
      tokens_.push_back(static_cast<int32_t>(std::pow(classes, random_.uniform())));
    if (!on_cpu()) session_.set_tokens(tokens_);
  }

  bool on_cpu() const { return session_.stream().device == kernels::Device::cpu; }
  bool on_gpu() const { return session_.stream().device == kernels::Device::cuda; }
  int64_t device_bytes() const { return session_.device_bytes(); }

  // The milliseconds of each.
  std::vector<double> run(int64_t count) {
    std::vector<int64_t> offsets;
    for (int64_t i = 0; i < count * batch_; ++i)
      offsets.push_back(static_cast<int64_t>(
          random_.uniform() * static_cast<double>(std::ssize(tokens_) - window_ - 1)));
    return on_cpu() ? run_on_cpu(offsets) : run_on_device(offsets, count);
  }

 private:
  std::vector<double> run_on_cpu(const std::vector<int64_t>& offsets) {
    std::vector<double> times;
    std::vector<int32_t> inputs, targets;
    for (size_t first = 0; first < offsets.size(); first += static_cast<size_t>(batch_)) {
      inputs.clear();
      targets.clear();
      for (size_t i = first; i < first + static_cast<size_t>(batch_); ++i) {
        const auto begin = tokens_.begin() + offsets[i];
        inputs.insert(inputs.end(), begin, begin + window_);
        targets.push_back(begin[window_]);
      }
      const auto start = Clock::now();
      session_.train_step({batch_, window_, inputs.data(), targets.data()});
      times.push_back(milliseconds(Clock::now() - start));
    }
    return times;
  }

  std::vector<double> run_on_device(const std::vector<int64_t>& offsets, int64_t count) {
    session_.plan(offsets, batch_, window_);
    const auto start = Clock::now();
    session_.run(count);
    const double each = milliseconds(Clock::now() - start) / static_cast<double>(count);
    return std::vector<double>(static_cast<size_t>(count), each);
  }

  int64_t batch_, window_;
  RandomSequence random_;
  std::vector<int32_t> tokens_;
  Session session_;
};

struct Figures {
  double first = 0;
  std::vector<double> ms;
};

Figures measure(const Options& o, Steps& steps) {
  Figures figures;
  figures.first = steps.run(1).front();
  if (o.warmup > 1) steps.run(o.warmup - 1);
  const auto start = Clock::now();
  while (std::ssize(figures.ms) < o.steps ||
         milliseconds(Clock::now() - start) < 1000 * o.seconds) {
    const auto times = steps.run(steps.on_gpu() ? 16 : 1);
    figures.ms.insert(figures.ms.end(), times.begin(), times.end());
  }
  return figures;
}

Json to_json(const Options& o, Model& model, const Figures& f, double device_mib) {
  Json json = {{"format", "etude-step"}, {"version", 1}};
  json["machine"] = to_json(this_machine());
  json["model"] = model.config().model;
  json["config"] = Json::parse(etude::to_json(model.config()));
  json["batch"] = o.batch;
  json["parameters"] = model.params().parameter_count();
  json["gru"] = name(o.model.gru);
  json["device"] = name(o.device.device);
  json["device_name"] = device_name(o.device.device);
  json["precision"] = name(o.device.precision);
  json["timed_steps"] = f.ms.size();
  json["ms_per_step"] = {{"median", median(f.ms)},
                         {"q1", quantile(f.ms, 0.25)},
                         {"q3", quantile(f.ms, 0.75)},
                         {"min", quantile(f.ms, 0)},
                         {"max", quantile(f.ms, 1)}};
  json["first_step_ms"] = f.first;
  json["peak_memory_mib"] = peak_memory_mib();
  json["device_memory_mib"] = device_mib > 0 ? Json(device_mib) : Json();
  return json;
}

void print(const Options& o, Model& model, const Figures& f, double device_mib) {
  const ModelConfig& c = model.config();
  const Machine machine = this_machine();
  fmt::print("{}: {} parameters; minibatches of {}, windows of {}, {} units, {} classes\n",
             o.model.stack ? fmt::format("stack-{}", c.stack) : c.model,
             model.params().parameter_count(), o.batch, c.window, c.units, c.classes);
  fmt::print("  on                  {}, threads: {}; {}, GRU: {}\n", machine.processor,
             machine.threads, device_name(o.device.device), name(o.model.gru));
  fmt::print("  ms a step           {:.1f} ({:.1f} to {:.1f}, {} steps; the first {:.1f})\n",
             median(f.ms), quantile(f.ms, 0), quantile(f.ms, 1), f.ms.size(), f.first);
  fmt::print("  peak memory, MiB    {:.0f}\n", peak_memory_mib());
  if (device_mib > 0) fmt::print("  on the device, MiB  {:.0f}\n", device_mib);
}

void step(const Options& o) {
  const OwnedStream stream = o.device.open();
  use_threads(o.threads);
  Model model(make_config(o.model, o.model.classes));
  model.initialise(o.seed);
  Steps steps(o, model, stream.get());
  const Figures figures = measure(o, steps);
  const double device_mib = static_cast<double>(steps.device_bytes()) / (1 << 20);
  if (o.json)
    fmt::print("{}\n", dump(to_json(o, model, figures, device_mib)));
  else
    print(o, model, figures, device_mib);
}

}  // namespace

void add_step(CLI::App& program) {
  auto* command = program.add_subcommand("step", "Time a model's training step at any size");
  auto options = std::make_shared<Options>();
  add_model_choice(*command, options->model);
  add_size_options(*command, options->model);
  add_shared_model_options(*command, options->model);
  add_gru_option(*command, options->model);
  command->add_option("--batch", options->batch, "Windows of a minibatch")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command->add_option("--warmup-steps", options->warmup, "Steps not counted, at least 1")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--steps", options->steps, "Steps timed, at least")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--seconds", options->seconds, "Goes on until so many are over")
      ->capture_default_str()
      ->check(within(0, 3600));
  command->add_option("--seed", options->seed, "Of weights, tokens and dropout")
      ->capture_default_str()
      ->check(seed_number());
  add_threads_option(*command, options->threads);
  add_device_options(*command, options->device);
  command->add_flag("--json", options->json, "The figures as JSON");
  command->footer(kExamples);
  command->callback([options] { step(*options); });
}

}  // namespace etude::apps
