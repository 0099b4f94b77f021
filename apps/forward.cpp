#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/device_options.h"
#include "engine/error.h"
#include "layers/model_file.h"

namespace etude::apps {
namespace {

std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const char* const last = text.data() + text.size();
  for (const char* p = text.data();; ++p) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(p, last, id);
    if (error == std::errc::result_out_of_range)
      throw Error(fmt::format("--tokens: character {}: too large a number", p - text.data() + 1));
    if (error != std::errc() || (end != last && *end != ','))
      throw Error(fmt::format("--tokens: character {}: numbers joined by commas are expected",
                              end - text.data() + 1));
    ids.push_back(id);
    if (end == last) return ids;
    p = end;
  }
}

void forward(const std::filesystem::path& checkpoint, const std::string& tokens,
             const DeviceOptions& device) {
  const OwnedStream stream = device.open();
  const std::vector<int32_t> ids = parse_ids(tokens);
  LoadedModel loaded = load_model(checkpoint);
  Model& model = loaded.model;
  const int64_t window = model.config().window;
  if (static_cast<int64_t>(ids.size()) != window)
    throw Error(fmt::format("--tokens: {} ids where the model reads {}", ids.size(), window));
  for (const int32_t id : ids)
    if (id < 0 || id >= model.config().classes)
      throw Error(
          fmt::format("--tokens: id {} is not from 0 to {}", id, model.config().classes - 1));
  Session session = make_session(model, Nadam(), 0, stream.get());
  const auto logits = session.logits({1, window, ids.data(), nullptr});
  const std::vector<float> values(logits.begin(), logits.end());
  fmt::print("{}\n", nlohmann::json{{"logits", values}}.dump());
}

}  // namespace

void add_forward(CLI::App& program) {
  auto* command = program.add_subcommand("forward", "The logits of one window, as JSON");
  auto checkpoint = std::make_shared<std::filesystem::path>();
  auto tokens = std::make_shared<std::string>();
  auto device = std::make_shared<DeviceOptions>();
  command->add_option("--checkpoint", *checkpoint, "A model.safetensors")->required();
  command->add_option("--tokens", *tokens, "The window's token numbers, joined by commas")
      ->required();
  add_device_options(*command, *device);
  command->footer(
      "Example:\n  etude forward --checkpoint out/triple/model.safetensors --tokens "
      "\"12,7,7,...\"");
  command->callback([=] { forward(*checkpoint, *tokens, *device); });
}

}  // namespace etude::apps
