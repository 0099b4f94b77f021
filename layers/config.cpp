#include "layers/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace etude {

using Json = nlohmann::ordered_json;

const std::vector<std::string>& table_models() {
  static const std::vector<std::string> names = {"rnn", "attention", "single", "double", "triple"};
  return names;
}

const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names = {"rnn",    "attention",   "single", "double",
                                                 "triple", "transformer", "stack"};
  return names;
}

ModelConfig default_config(const std::string& model) {
  const auto& names = model_names();
  if (std::find(names.begin(), names.end(), model) == names.end())
    throw Error(
        fmt::format("no model is called \"{}\"; there are {}", model, fmt::join(names, ", ")));
  ModelConfig config;
  config.model = model;
  if (model == "transformer") config.heads = 4;
  return config;
}

std::string to_json(const ModelConfig& c) {
  return Json{{"classes", c.classes},
              {"window", c.window},
              {"embedding", c.embedding},
              {"units", c.units},
              {"dense", c.dense},
              {"stack", c.stack},
              {"heads", c.heads},
              {"attention_width", c.attention_width},
              {"attention_activation", c.attention_sigmoid ? "sigmoid" : "none"},
              {"dropout", c.dropout},
              {"leaky_slope", c.leaky_slope}}
      .dump();
}

ModelConfig config_from_json(const std::string& model, const std::string& text) {
  ModelConfig c = default_config(model);
  try {
    const Json json = Json::parse(text);
    const auto integer = [&json](const char* name) {
      const Json& value = json.at(name);
      if (!value.is_number_integer()) throw Error(fmt::format("{} is not a whole number", name));
      return value.get<int64_t>();
    };
    c.classes = integer("classes");
    c.window = integer("window");
    c.embedding = integer("embedding");
    c.units = integer("units");
    c.dense = integer("dense");
    c.stack = integer("stack");
    c.heads = integer("heads");
    c.attention_width = integer("attention_width");
    const std::string activation = json.at("attention_activation");
    if (activation != "sigmoid" && activation != "none")
      throw Error("attention_activation is neither sigmoid nor none");
    c.attention_sigmoid = activation == "sigmoid";
    c.dropout = json.at("dropout");
    c.leaky_slope = json.at("leaky_slope");
  } catch (const Json::exception& problem) {
    throw Error(fmt::format("the model's config: {}", problem.what()));
  }
  check(c);
  return c;
}

void check(const ModelConfig& c) {
  const auto within = [](const char* name, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most)
      throw Error(fmt::format("{} must be from {} to {}, not {}", name, least, most, value));
  };
  within("classes", c.classes, 2, 10'000'000);
  within("window", c.window, 1, 4096);
  within("embedding", c.embedding, 1, 8192);
  within("units", c.units, 1, 8192);
  within("dense", c.dense, 1, 65536);
  within("stack", c.stack, 1, 64);
  within("heads", c.heads, 1, 256);
  within("attention_width", c.attention_width, 1, 1 << 20);
  if (!(c.dropout >= 0 && c.dropout < 1))
    throw Error(fmt::format("dropout must be at least 0 and below 1, not {}", c.dropout));
  if (!(c.leaky_slope >= 0 && c.leaky_slope <= 1))
    throw Error(fmt::format("leaky_slope must be from 0 to 1, not {}", c.leaky_slope));
}

}  // namespace etude
