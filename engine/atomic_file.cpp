#include "engine/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/error.h"

namespace etude {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw Error(path.string() + ": cannot be written: " + std::strerror(errno ? errno : EIO));
}

// A link stays a link: what it points to is replaced. What is no file (/dev/stdout) must not be
// renamed over.
std::filesystem::path resolve(const std::filesystem::path& path) {
  std::error_code absent;
  const auto resolved = std::filesystem::canonical(path, absent);
  if (absent) return path;
  if (!std::filesystem::is_regular_file(resolved))
    throw Error(path.string() + ": cannot be written: not a regular file");
  return resolved;
}

// To the disk, so that a rename never shows a file that a power cut has emptied.
void synchronise(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ::fsync(file);
  ::close(file);
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(resolve(path)), temporary_(path_) {
  temporary_ += ".part" + std::to_string(getpid());
  errno = 0;
  out_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!out_) {
    temporary_.clear();
    fail(path_);
  }
}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  errno = 0;
  out_.close();
  if (!out_) fail(path_);
  synchronise(temporary_);
  std::error_code error;
  std::filesystem::rename(temporary_, path_, error);
  if (error) throw Error(path_.string() + ": cannot be written: " + error.message());
  temporary_.clear();
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.stream().write(content.data(), static_cast<std::streamsize>(content.size()));
  file.commit();
}

}  // namespace etude
