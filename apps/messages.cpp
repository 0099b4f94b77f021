#include "apps/messages.h"

#include <algorithm>

namespace etude::apps {

void tell(std::FILE* stream, const std::string& text) noexcept {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

void tell_line(const std::string& text) noexcept {
  try {
    std::string line = "etude: " + text;
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    tell(stderr, line + "\n");
  } catch (...) {  // no memory for the line
  }
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace etude::apps
