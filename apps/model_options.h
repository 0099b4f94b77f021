#pragma once

// The options that say what a model is and how it learns.

#include <CLI/CLI.hpp>
#include <optional>

#include "apps/trainer.h"
#include "layers/config.h"
#include "midi/tokens.h"

namespace etude::apps {

struct ModelOptions {
  std::string model = "triple";
  std::optional<int64_t> stack, heads, attention_width, units, window;
  std::optional<double> dropout;
  bool plain_scores = false;  // no sigmoid in the attention
  int64_t classes = 0;        // of the softmax, if more than the vocabulary has
  kernels::GruVersion gru = kernels::GruVersion::automatic;
};

// The paper's notebook's classes: 36,010 tokens, and the unused 0.
inline constexpr int64_t kNotebookClasses = 36011;

// --model, --stack
void add_model_choice(CLI::App& command, ModelOptions& options);
// --model, --stack, --vocab, --heads, --attention-width, --plain-scores, --dropout
void add_model_options(CLI::App& command, ModelOptions& options);

// What a table of several models shares: all but --model, --stack and --vocab.
void add_shared_model_options(CLI::App& command, ModelOptions& options);

// --vocab, --units, --window, where no data decides
void add_size_options(CLI::App& command, ModelOptions& options);

CLI::Option* add_stack_option(CLI::App& command, ModelOptions& options, const std::string& help);
void add_classes_option(CLI::App& command, ModelOptions& options);  // --vocab, beside data
void add_gru_option(CLI::App& command, ModelOptions& options);      // --gru, where steps are made
const char* name(kernels::GruVersion version);

ModelConfig make_config(const ModelOptions& options, int64_t classes);
// Error where --vocab is smaller than the vocabulary.
ModelConfig make_config(const ModelOptions& options, const midi::Vocabulary& vocabulary);

// --epochs, --batch, --song-group, --seed, --max-steps, --learning-rate, --embedding-update
void add_training_options(CLI::App& command, TrainingOptions& options);

// --threads: 0 leaves the choice to OpenMP.
void add_threads_option(CLI::App& command, int& threads);
void use_threads(int threads);

}  // namespace etude::apps
