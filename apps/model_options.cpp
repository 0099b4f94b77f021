#include "apps/model_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apps/number_checks.h"
#include "engine/error.h"
#include "kernels/parallel.h"

namespace etude::apps {

void add_model_choice(CLI::App& command, ModelOptions& options) {
  auto* model = command
                    .add_option("--model", options.model,
                                fmt::format("One of {}", fmt::join(model_names(), ", ")))
                    ->capture_default_str()
                    ->check(CLI::IsMember(model_names()));
  add_stack_option(command, options,
                   "A stack of so many bidirectional GRUs, as rnn (1), double (2), triple (3)")
      ->excludes(model);
}

void add_model_options(CLI::App& command, ModelOptions& options) {
  add_model_choice(command, options);
  add_classes_option(command, options);
  add_shared_model_options(command, options);
}

void add_size_options(CLI::App& command, ModelOptions& options) {
  const ModelConfig defaults;
  options.classes = kNotebookClasses;
  command.add_option("--vocab", options.classes, "Classes of the softmax")
      ->capture_default_str()
      ->check(CLI::Range(2, 10'000'000));
  command.add_option("--units", options.units, "Of a GRU, a direction")
      ->default_str(std::to_string(defaults.units))
      ->check(CLI::Range(1, 8192));
  command.add_option("--window", options.window, "Tokens that the model sees")
      ->default_str(std::to_string(defaults.window))
      ->check(CLI::Range(1, 4096));
}

CLI::Option* add_stack_option(CLI::App& command, ModelOptions& options, const std::string& help) {
  return command.add_option("--stack", options.stack, help)->check(CLI::Range(1, 64));
}

void add_classes_option(CLI::App& command, ModelOptions& options) {
  command
      .add_option("--vocab", options.classes,
                  "Classes of the softmax, if more than the data's tokens and 1")
      ->check(CLI::Range(2, 10'000'000));
}

void add_gru_option(CLI::App& command, ModelOptions& options) {
  command
      .add_option_function<std::string>(
          "--gru",
          [&options](const std::string& word) {
            options.gru =
                word == "stepwise" ? kernels::GruVersion::stepwise : kernels::GruVersion::automatic;
          },
          "fused: the fastest there is; stepwise: a product and passes over memory a step, as "
          "frameworks do it off their fast path")
      ->option_text("fused|stepwise [fused]")
      ->check(CLI::IsMember({"fused", "stepwise"}));
}

const char* name(kernels::GruVersion version) {
  return version == kernels::GruVersion::stepwise ? "stepwise" : "fused";
}

void add_shared_model_options(CLI::App& command, ModelOptions& options) {
  command.add_option("--heads", options.heads, "Heads of every attention")
      ->check(CLI::Range(1, 256));
  command.add_option("--attention-width", options.attention_width, "Steps that attention sees")
      ->check(CLI::Range(1, 1 << 20));
  command.add_flag("--plain-scores", options.plain_scores, "Attention scores without the sigmoid");
  command
      .add_option("--dropout", options.dropout, "Rate; 0 is what the paper's notebook did in fact")
      ->default_str("0.3")
      ->check(within(0, 0.99));
}

ModelConfig make_config(const ModelOptions& options, int64_t classes) {
  ModelConfig config = default_config(options.stack ? "stack" : options.model);
  config.classes = classes;
  config.stack = options.stack.value_or(config.stack);
  config.units = options.units.value_or(config.units);
  config.window = options.window.value_or(config.window);
  config.heads = options.heads.value_or(config.heads);
  config.attention_width = options.attention_width.value_or(config.attention_width);
  config.gru_version = options.gru;
  config.attention_sigmoid = !options.plain_scores;
  if (options.dropout) config.dropout = static_cast<float>(*options.dropout);
  return config;
}

ModelConfig make_config(const ModelOptions& options, const midi::Vocabulary& vocabulary) {
  const int64_t needed = vocabulary.classes();
  if (options.classes != 0 && options.classes < needed)
    throw Error(fmt::format("--vocab {}: the data has {} tokens and needs {} classes",
                            options.classes, vocabulary.size(), needed));
  return make_config(options, std::max(options.classes, needed));
}

void add_training_options(CLI::App& command, TrainingOptions& options) {
  command.add_option("--epochs", options.epochs, "Passes over the data")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  command.add_option("--batch", options.batch, "Windows of a minibatch")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command.add_option("--song-group", options.song_group, "Songs whose windows are mixed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--seed", options.seed, "Of weights, order and dropout")
      ->capture_default_str()
      ->check(seed_number());
  command.add_option("--max-steps", options.max_steps, "Stop after so many steps in all")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--learning-rate", options.nadam.learning_rate, "Of Nadam")
      ->capture_default_str()
      ->check(above_zero());
  command
      .add_option("--embedding-update", options.embedding_update,
                  "dense (all rows move, as in PyTorch) or sparse (as in TensorFlow)")
      ->option_text("dense|sparse [dense]")
      ->transform(CLI::CheckedTransformer(std::map<std::string, EmbeddingUpdate>{
          {"dense", EmbeddingUpdate::dense}, {"sparse", EmbeddingUpdate::sparse}}));
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "Threads to use; 0: as many as there are cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
}

void use_threads(int threads) {
  if (threads > 0) kernels::cpu::set_threads(threads);
}

}  // namespace etude::apps
