#pragma once

// Small MIDI files for tests, made byte by byte.

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <vector>

namespace etude::tests {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline uint8_t part(size_t value, int shift) { return static_cast<uint8_t>(value >> shift); }

inline Bytes chunk(const std::string& id, const Bytes& content) {
  const size_t n = content.size();
  return Bytes(id.begin(), id.end()) + Bytes{part(n, 24), part(n, 16), part(n, 8), part(n, 0)} +
         content;
}

inline Bytes header(int format, int tracks, int division) {
  const auto low = [](int v) { return static_cast<uint8_t>(v); };
  return chunk("MThd", {low(format >> 8), low(format), low(tracks >> 8), low(tracks),
                        low(division >> 8), low(division)});
}

inline Bytes track(const Bytes& events) { return chunk("MTrk", events); }

inline const Bytes kEnd = {0x00, 0xFF, 0x2F, 0x00};

// Variable-length number.
inline Bytes number(uint32_t value) {
  Bytes out = {static_cast<uint8_t>(value & 0x7F)};
  while (value >>= 7) out.insert(out.begin(), static_cast<uint8_t>(0x80 | (value & 0x7F)));
  return out;
}

inline Bytes file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string file_text(const std::filesystem::path& path) {
  const Bytes bytes = file_bytes(path);
  return {bytes.begin(), bytes.end()};
}

// A folder that goes when the test goes.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "etude-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    return write(name, Bytes(text.begin(), text.end()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace etude::tests
