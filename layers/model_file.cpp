#include "layers/model_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace etude {
namespace {

constexpr const char* kFormat = "etude-checkpoint";
constexpr const char* kVersion = "1";

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& reason) {
  throw Error(fmt::format("{}: header: {}", path.string(), reason));
}

ModelConfig read_config(const Safetensors& file, const std::filesystem::path& path) {
  if (!file.metadata().contains("format") || file.metadata("format") != kFormat)
    fail(path, "not a model of Etude");
  if (file.metadata("version") != kVersion)
    fail(path, fmt::format("it is of version {}; this program reads version {}",
                           file.metadata("version"), kVersion));
  try {
    return config_from_json(file.metadata("model"), file.metadata("config"));
  } catch (const Error& problem) {
    fail(path, problem.what());
  }
}

// Every parameter takes four bytes of the file, so a config that lies about its sizes cannot make
// the program ask for more memory than a file of that size would.
void check_size(Model& model, const std::filesystem::path& path) {
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  if (model.params().parameter_count() > bytes / 4)
    fail(path, fmt::format("its config asks for {} parameters, more than a file of {} bytes holds",
                           model.params().parameter_count(), bytes));
}

Tokens read_tokens(const Safetensors& file, const std::filesystem::path& path, int64_t classes) {
  Tokens tokens;
  try {
    tokens = nlohmann::json::parse(file.metadata("vocabulary")).get<Tokens>();
  } catch (const nlohmann::json::exception& problem) {
    fail(path, fmt::format("the vocabulary: {}", problem.what()));
  }
  if (static_cast<int64_t>(tokens.size()) >= classes)
    fail(path, fmt::format("a vocabulary of {} tokens for {} classes", tokens.size(), classes));
  return tokens;
}

}  // namespace

void save_model(const std::filesystem::path& path, Model& model, const Tokens& tokens,
                Metadata more) {
  more["format"] = kFormat;
  more["version"] = kVersion;
  more["model"] = model.config().model;
  more["config"] = to_json(model.config());
  more["vocabulary"] = nlohmann::json(tokens).dump();
  save_parameters(path, model.params(), more);
}

LoadedModel load_model(const std::filesystem::path& path) {
  const Safetensors file = Safetensors::read(path);
  const ModelConfig config = read_config(file, path);
  LoadedModel loaded{Model(config), read_tokens(file, path, config.classes), file.metadata()};
  check_size(loaded.model, path);
  loaded.model.params().allocate();
  load_parameters(file, path, loaded.model.params());
  return loaded;
}

Metadata load_weights(const std::filesystem::path& path, Model& model) {
  const Safetensors file = Safetensors::read(path);
  const ModelConfig config = read_config(file, path);
  if (config.model != model.config().model || config.classes != model.config().classes)
    fail(path, fmt::format("it holds {} with {} classes, not {} with {}", config.model,
                           config.classes, model.config().model, model.config().classes));
  model.params().allocate();
  load_parameters(file, path, model.params());
  return file.metadata();
}

}  // namespace etude
