#pragma once

// Where what can be made or fetched again is kept.

#include <filesystem>
#include <optional>

namespace etude::apps {

// $XDG_CACHE_HOME/etude, or ~/.cache/etude (XDG Base Directory Specification); none where neither
// is an absolute path. It may not exist yet.
std::optional<std::filesystem::path> cache_folder();

}  // namespace etude::apps
