#pragma once

// ZIP archives, by libzip: read from memory, unpacked into a folder, written to memory.
// Archives are hostile until read: sizes are limits for what is unpacked, not promises.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace etude::midi {

inline constexpr size_t kMaxArchiveBytes = size_t{256} << 20;
inline constexpr size_t kMaxArchiveEntries = 65535;
inline constexpr size_t kMaxEntryName = 4096;  // bytes, as PATH_MAX of Linux
inline constexpr int kMaxEntryDepth = 100;     // folders that an entry lies in

struct ArchiveEntry {
  std::string name;  // UTF-8, "/" between folders and none at the end
  uint64_t bytes;    // unpacked, as the archive declares
  bool folder;
};

// All are limits of what the archive declares, checked before anything is written; an entry with
// more bytes than it declares is an Error.
struct UnpackLimits {
  size_t entries = 10'000;
  uint64_t entry_bytes = uint64_t{64} << 20;
  uint64_t bytes = uint64_t{1} << 30;
  uint64_t ratio = 100;  // bytes unpacked in all to bytes of the archive
};

// One thread at a time.
class Archive {
 public:
  // `name` is for messages. Throws Error when it is no archive or damaged; when an entry is
  // encrypted, is neither file nor folder (a symbolic link), has a name that another has, that is a
  // file's where another needs a folder, or that does not stay below its folder (absolute, "..", a
  // drive, a backslash, a control character), is longer or deeper than above; LimitError beyond the
  // limits above.
  Archive(std::vector<uint8_t> bytes, std::string name);
  Archive(Archive&&) noexcept;
  ~Archive();

  // As the archive has them.
  const std::vector<ArchiveEntry>& entries() const { return entries_; }
  bool contains(const std::string& entry) const;

  // Throws Error where there is no such file, or its data are damaged (CRC); LimitError when it
  // has more than `limit` bytes, before unpacking it.
  std::vector<uint8_t> read(const std::string& entry, size_t limit) const;

  // Into a folder that is made, or is there and empty; its parent must be there. On failure what
  // was unpacked so far stays: the caller gives a temporary folder.
  void unpack(const std::filesystem::path& folder, const UnpackLimits& limits = {}) const;

 private:
  struct State;
  void list_entries();
  void check_limits(const UnpackLimits& limits) const;
  std::vector<uint8_t> read(size_t index) const;

  std::string name_;
  std::unique_ptr<State> state_;
  std::vector<ArchiveEntry> entries_;
};

// The path may be any file's. Errors as above and of read_file (files.h).
Archive open_archive(const std::filesystem::path& path);

struct NewArchiveEntry {
  std::string name;
  std::span<const uint8_t> bytes;
  bool stored = false;  // not compressed, as a container's first file "mimetype" has to be
};

// In the order given, without extra fields, all of 1 January 1980: the same bytes on every run.
// Throws Error for names that Archive would not take, and when there are no entries.
std::vector<uint8_t> write_archive(std::span<const NewArchiveEntry> entries);

}  // namespace etude::midi
