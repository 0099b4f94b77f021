#pragma once

// What is kept of a training run, in two safetensors files: the parameters under their names, and
// the optimiser's state ("m.NAME", "v.NAME" for each parameter, and its scalars as metadata).

#include <filesystem>
#include <map>
#include <string>

#include "engine/optimizer.h"
#include "engine/safetensors.h"

namespace etude {

using Metadata = std::map<std::string, std::string>;

void save_parameters(const std::filesystem::path& path, ParamSet& params, const Metadata& metadata);

// Every parameter must be there in its shape, and nothing else.
void load_parameters(const Safetensors& file, const std::filesystem::path& path, ParamSet& params);

// The entries of `progress` stand beside the optimiser's own.
void save_optimizer(const std::filesystem::path& path, ParamSet& params, const Nadam& optimizer,
                    Metadata progress);

// Returns the metadata that save_optimizer was given.
Metadata load_optimizer(const std::filesystem::path& path, ParamSet& params, Nadam& optimizer);

}  // namespace etude
