#pragma once

// A file that is there whole or not at all: written under a temporary name in the same folder and
// renamed by commit(). Without a commit the temporary is removed.

#include <filesystem>
#include <fstream>
#include <string_view>

namespace etude {

class AtomicFile {
 public:
  // Throws Error where the folder cannot be written, or the path is there and no regular file.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  std::ostream& stream() { return out_; }
  void commit();  // throws Error if anything could not be written

 private:
  std::filesystem::path path_, temporary_;
  std::ofstream out_;
};

void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace etude
