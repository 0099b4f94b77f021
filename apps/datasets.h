#pragma once

// Data that have a name: `etude fetch NAME` puts them into the cache, and from then on --data NAME
// is theirs.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace etude::apps {

struct KnownDataset {
  int version;
  const char* title;   // for messages
  const char* folder;  // the one folder in the archive, and its name in the cache
  const char* table;   // in that folder
  const char* url;
  const char* sha256;  // of the archive
};

// MAESTRO's versions, the newest last.
std::span<const KnownDataset> maestro_versions();

// The cache (cache_folder.h). Throws Error where there is none.
std::filesystem::path fetched_folder();

// What --data and `etude dataset` are given: "maestro" and "maestro-v3", where no file or folder
// is called so, are the fetched table, and an Error where it was not fetched; all else is itself.
std::filesystem::path resolve_data(const std::filesystem::path& path);

struct Installed {
  std::filesystem::path table;
  size_t pieces;
  std::string fault;  // why it cannot be used; empty when all is there
};

// Whether the files in the cache are those of this archive, by number and bytes.
Installed installed(const KnownDataset& dataset, const std::string& sha256);

// Unpacks an archive into the cache, in place of what is there; nothing is seen of it before all
// is. Throws Error where the hash is another, or what a table names is missing. One process at a
// time.
Installed install(const KnownDataset& dataset, std::vector<uint8_t> archive,
                  const std::string& name, const std::string& sha256);

}  // namespace etude::apps
