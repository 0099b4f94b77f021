#include "apps/checkpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <stdexcept>

#include "engine/error.h"
#include "midi/dataset.h"

namespace etude::apps {
namespace {

midi::RollOptions read_roll(const Metadata& metadata, const std::filesystem::path& path) {
  midi::RollOptions roll;
  if (const auto entry = metadata.find("fs"); entry != metadata.end()) {
    const std::string& text = entry->second;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), roll.fs);
    if (fault != std::errc() || end != text.data() + text.size() || !std::isfinite(roll.fs) ||
        roll.fs <= 0)
      throw Error(fmt::format("{}: header: fs is \"{}\", not a rate", path.string(), text));
  }
  if (const auto entry = metadata.find("pedal"); entry != metadata.end()) {
    try {
      roll.pedal = midi::pedal_named(entry->second);
    } catch (const std::invalid_argument& fault) {
      throw Error(fmt::format("{}: header: {}", path.string(), fault.what()));
    }
  }
  return roll;
}

midi::Vocabulary make_vocabulary(const Tokens& tokens, const std::filesystem::path& path) {
  try {
    return midi::Vocabulary(tokens);
  } catch (const std::invalid_argument& fault) {
    throw Error(fmt::format("{}: header: {}", path.string(), fault.what()));
  }
}

}  // namespace

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  LoadedModel loaded = load_model(path);
  return {std::move(loaded.model), make_vocabulary(loaded.tokens, path),
          read_roll(loaded.metadata, path)};
}

void require_window(const Checkpoint& checkpoint, const std::filesystem::path& path) {
  if (const int64_t window = checkpoint.model.config().window; window != midi::kWindow)
    throw Error(fmt::format("{}: header: the model reads windows of {} tokens, not {}",
                            path.string(), window, midi::kWindow));
}

Metadata roll_metadata(const midi::RollOptions& roll) {
  return {{"fs", fmt::format("{}", roll.fs)}, {"pedal", std::string(midi::name_of(roll.pedal))}};
}

}  // namespace etude::apps
