#include "engine/atomic_file.h"

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

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += ".part" + std::to_string(getpid());
  errno = 0;
  out_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!out_) fail(path_);
}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  errno = 0;
  out_.close();
  if (!out_) fail(path_);
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
