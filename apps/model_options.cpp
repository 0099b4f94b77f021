#include "apps/model_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/parallel.h"

namespace etude::apps {

void add_model_options(CLI::App& command, ModelOptions& options) {
  auto* model =
      command
          .add_option("--model", options.model, fmt::format("{}", fmt::join(model_names(), ", ")))
          ->capture_default_str()
          ->check(CLI::IsMember(model_names()));
  command
      .add_option(
          "--stack", options.stack,
          "a stack of so many bidirectional GRUs, as rnn (1), double (2) and triple (3) are")
      ->check(CLI::Range(1, 64))
      ->excludes(model);
  add_shared_model_options(command, options);
}

void add_shared_model_options(CLI::App& command, ModelOptions& options) {
  command.add_option("--heads", options.heads, "heads of every attention")
      ->check(CLI::Range(1, 256));
  command.add_option("--attention-width", options.attention_width, "steps that attention sees")
      ->check(CLI::Range(1, 1 << 20));
  command.add_flag("--plain-scores", options.plain_scores, "attention scores without the sigmoid");
  command.add_option("--dropout", options.dropout, "rate, 0.3 unless given; 0 as in the notebook")
      ->check(CLI::Range(0.0, 0.99));
}

ModelConfig make_config(const ModelOptions& options, int64_t classes) {
  ModelConfig config = default_config(options.stack ? "stack" : options.model);
  config.classes = classes;
  config.stack = options.stack.value_or(config.stack);
  config.heads = options.heads.value_or(config.heads);
  config.attention_width = options.attention_width.value_or(config.attention_width);
  config.attention_sigmoid = !options.plain_scores;
  config.dropout = options.dropout.value_or(config.dropout);
  return config;
}

void add_training_options(CLI::App& command, TrainingOptions& options) {
  command.add_option("--epochs", options.epochs, "passes over the data")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command.add_option("--batch", options.batch, "windows of a minibatch")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command.add_option("--song-group", options.song_group, "songs whose windows are mixed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--seed", options.seed, "of weights, order and dropout")
      ->capture_default_str();
  command.add_option("--max-steps", options.max_steps, "stop after so many steps in all")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--learning-rate", options.nadam.learning_rate)
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      .add_option("--embedding-update", options.embedding_update,
                  "dense (all rows move, as in PyTorch) or sparse (as in TensorFlow)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, EmbeddingUpdate>{
          {"dense", EmbeddingUpdate::dense}, {"sparse", EmbeddingUpdate::sparse}}));
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "threads to use; 0: as many as there are cores")
      ->check(CLI::Range(0, 1024));
}

void use_threads(int threads) {
  if (threads > 0) kernels::cpu::set_threads(threads);
}

}  // namespace etude::apps
