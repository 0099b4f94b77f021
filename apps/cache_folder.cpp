#include "apps/cache_folder.h"

#include <cstdlib>

namespace etude::apps {

std::optional<std::filesystem::path> cache_folder() {
  const auto absolute = [](const char* variable) -> std::filesystem::path {
    const char* value = std::getenv(variable);
    const std::filesystem::path path = value ? value : "";
    return path.is_absolute() ? path : std::filesystem::path();
  };
  if (const auto cache = absolute("XDG_CACHE_HOME"); !cache.empty()) return cache / "etude";
  if (const auto home = absolute("HOME"); !home.empty()) return home / ".cache" / "etude";
  return std::nullopt;
}

}  // namespace etude::apps
