#pragma once

// The options that say what a model is and how it learns.

#include <CLI/CLI.hpp>
#include <optional>

#include "apps/trainer.h"
#include "layers/config.h"

namespace etude::apps {

struct ModelOptions {
  std::string model = "triple";
  std::optional<int64_t> stack, heads, attention_width;
  std::optional<float> dropout;
  bool plain_scores = false;  // no sigmoid in the attention
};

// --model, --stack, --heads, --attention-width, --attention-activation, --dropout
void add_model_options(CLI::App& command, ModelOptions& options);

// The sizes that a table of several models shares: all but --model and --stack.
void add_shared_model_options(CLI::App& command, ModelOptions& options);

ModelConfig make_config(const ModelOptions& options, int64_t classes);

// --epochs, --batch, --song-group, --seed, --max-steps, --learning-rate, --embedding-update
void add_training_options(CLI::App& command, TrainingOptions& options);

// --threads: 0 leaves the choice to OpenMP.
void add_threads_option(CLI::App& command, int& threads);
void use_threads(int threads);

}  // namespace etude::apps
