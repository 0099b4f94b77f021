#pragma once

// Tokens that were made before, on disk: one file for each list of contents and options. A key is
// the SHA-256 of all that the tokens depend on, so nothing in the cache is ever out of date, and a
// file that was damaged is told by its own SHA-256 and not used.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace etude::midi {

struct PieceTokens;

class TokenCache {
 public:
  // An empty folder: nothing is found and nothing is kept.
  explicit TokenCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  bool enabled() const { return !folder_.empty(); }
  std::optional<std::vector<PieceTokens>> find(const std::string& key) const;
  // A cache that cannot be written (no room, no right) is no fault: then nothing is kept. Beyond
  // kMostBytes, what was used longest ago goes.
  void keep(const std::string& key, const std::vector<PieceTokens>& pieces) const;

  static constexpr size_t kMostBytes = size_t{512} << 20;

 private:
  std::filesystem::path path_of(const std::string& key) const {
    return folder_ / (key + ".tokens");
  }
  void make_room(size_t bytes) const;

  std::filesystem::path folder_;
};

}  // namespace etude::midi
