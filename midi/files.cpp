#include "midi/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "midi/error.h"

namespace etude::midi {
namespace {

// Closes on every way out.
struct Descriptor {
  int fd;
  explicit Descriptor(int fd_) : fd(fd_) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(path.string(), fmt::format("{}: {}", what, std::strerror(errno)));
}

void write_all(int fd, std::span<const uint8_t> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, "cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

}  // namespace

std::vector<uint8_t> read_file(const std::filesystem::path& path, size_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) fail(path, "cannot be opened");
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail(path, "cannot be read");
  if (S_ISDIR(status.st_mode)) throw Error(path.string(), "is a folder, not a file");
  if (!S_ISREG(status.st_mode)) throw Error(path.string(), "is not a regular file");
  const auto size = static_cast<size_t>(status.st_size);
  if (size > limit) {
    throw LimitError(path.string(),
                     fmt::format("{} bytes, more than {} are not read", size, limit));
  }
  std::vector<uint8_t> bytes(size);
  size_t got = 0;
  while (got < size) {
    const ssize_t n = ::read(file.fd, bytes.data() + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, "cannot be read");
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

void write_file_atomically(const std::filesystem::path& wanted, std::span<const uint8_t> bytes) {
  // A link stays a link. What is no file (/dev/stdout) must not be renamed over.
  std::error_code absent;
  const auto resolved = std::filesystem::canonical(wanted, absent);
  const std::filesystem::path path = absent ? wanted : resolved;
  if (!absent && !std::filesystem::is_regular_file(path)) {
    throw Error(wanted.string(), "cannot be written: not a regular file");
  }
  std::string temporary = path.string() + ".XXXXXX";
  const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.fd < 0) fail(path, "cannot be written");
  try {
    write_all(file.fd, bytes, path);
    // mkostemp gives 0600; an ordinary new file obeys the umask.
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fchmod(file.fd, 0666 & ~mask) != 0) fail(path, "cannot be written");
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot be written");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension;
}

}  // namespace etude::midi
