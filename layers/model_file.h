#pragma once

// A trained model as one safetensors file: its parameters, and as metadata the format's name and
// version, the model's name and config, the vocabulary, and what the caller adds.
// docs/checkpoints.md names it all.

#include <filesystem>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "layers/models.h"

namespace etude {

// tokens[i] is the text of class i + 1; class 0 has none, nor have classes beyond the tokens.
using Tokens = std::vector<std::string>;

void save_model(const std::filesystem::path& path, Model& model, const Tokens& tokens,
                Metadata more = {});

struct LoadedModel {
  Model model;
  Tokens tokens;
  Metadata metadata;  // all of it
};

// Throws Error where the file is not such a model, or not whole.
LoadedModel load_model(const std::filesystem::path& path);

// The parameters alone, into a model that exists: Error where the file holds another one. Returns
// the metadata.
Metadata load_weights(const std::filesystem::path& path, Model& model);

}  // namespace etude
