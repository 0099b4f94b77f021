#pragma once

// What a model is, apart from its weights. The defaults are the reference's.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/gru.h"

namespace etude {

struct ModelConfig {
  std::string model = "triple";  // one of model_names()
  int64_t classes = 0;           // V: tokens and the unused class 0
  int64_t window = 50;           // T: tokens that the model sees
  int64_t embedding = 100;
  int64_t units = 128;  // of a GRU, a direction
  int64_t dense = 64;
  int64_t stack = 3;  // bidirectional GRUs of the model "stack"; the others have their own number
  int64_t heads = 1;  // of every attention; "transformer" has 4 unless told otherwise
  int64_t attention_width = 50;
  bool attention_sigmoid = true;
  float dropout = 0.3f;
  float leaky_slope = 0.3f;
  // How it is computed, not what it is: in no checkpoint.
  kernels::GruVersion gru_version = kernels::GruVersion::automatic;
};

// The five of Table I in its order: rnn, attention, single, double, triple.
const std::vector<std::string>& table_models();

// Those, "transformer", and "stack" (the pattern of rnn, double and triple at any depth).
const std::vector<std::string>& model_names();

// The defaults for a model: Error where no such model exists.
ModelConfig default_config(const std::string& model);

// JSON, as in a checkpoint's metadata. from_json throws Error at a missing or impossible value.
std::string to_json(const ModelConfig& config);
ModelConfig config_from_json(const std::string& model, const std::string& json);

// Error where sizes are not positive, too large, or do not fit together.
void check(const ModelConfig& config);

}  // namespace etude
