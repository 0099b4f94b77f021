#include "midi/archive.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "midi/error.h"
#include "midi/files.h"

namespace etude::midi {
namespace {

// DOS's 1 January 1980, midnight: the first moment that the format knows.
constexpr zip_uint16_t kDosTime = 0, kDosDate = (1 << 5) | 1;

std::string message(zip_error_t* error) {
  std::string text = zip_error_strerror(error);
  zip_error_fini(error);
  return text;
}

struct CloseFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
struct Discard {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};

// What is wrong with an entry's name, or nothing. A "/" at its end is taken off before.
std::string_view fault_of_name(std::string_view name) {
  if (name.empty()) return "has no name";
  if (name.size() > kMaxEntryName) return "has a name longer than is read";
  if (std::ranges::count(name, '/') > kMaxEntryDepth) return "lies in more folders than are read";
  if (name.front() == '/') return "has an absolute path";
  if (name.size() > 1 && name[1] == ':') return "has a path with a drive";
  for (const char c : name) {
    if (c == '\\') return "has a path with a backslash";
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F)
      return "has a control character in its name";
  }
  while (true) {
    const size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    if (part == "..") return "has a path with \"..\"";
    if (part.empty() || part == ".") return "has a path with an empty part";
    if (end == name.size()) return {};
    name.remove_prefix(end + 1);
  }
}

// Errors show names that may hold anything.
std::string printable(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 200)) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text;
}

[[noreturn]] void fail(const std::string& archive, const std::string& entry,
                       const std::string& why) {
  throw Error(archive, fmt::format("{}: {}", printable(entry), why));
}

void make_folders(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(path.string(), "cannot be made: " + error.message());
}

}  // namespace

struct Archive::State {
  std::vector<uint8_t> bytes;  // what zip reads from
  std::unique_ptr<zip_t, Discard> zip;
  std::map<std::string, size_t> index;  // by name
};

Archive::Archive(std::vector<uint8_t> bytes, std::string name)
    : name_(std::move(name)), state_(std::make_unique<State>()) {
  if (bytes.size() > kMaxArchiveBytes) {
    throw LimitError(
        name_, fmt::format("{} bytes, more than {} are not read", bytes.size(), kMaxArchiveBytes));
  }
  if (bytes.empty()) throw Error(name_, "the file is empty");  // to libzip, a new archive
  state_->bytes = std::move(bytes);
  zip_error_t error;
  zip_error_init(&error);
  std::unique_ptr<zip_source_t, FreeSource> source(
      zip_source_buffer_create(state_->bytes.data(), state_->bytes.size(), 0, &error));
  if (source) state_->zip.reset(zip_open_from_source(source.get(), ZIP_RDONLY, &error));
  if (!state_->zip) throw Error(name_, "not a ZIP archive, or damaged: " + message(&error));
  source.release();  // the archive's now
  zip_error_fini(&error);
  list_entries();
}

Archive::Archive(Archive&&) noexcept = default;
Archive::~Archive() = default;

void Archive::list_entries() {
  zip_t* zip = state_->zip.get();
  const auto count = static_cast<size_t>(std::max<zip_int64_t>(zip_get_num_entries(zip, 0), 0));
  if (count > kMaxArchiveEntries) {
    throw LimitError(
        name_, fmt::format("{} entries, more than {} are not read", count, kMaxArchiveEntries));
  }
  for (size_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(zip, i, 0, &stat) != 0)
      throw Error(name_, fmt::format("entry {}: {}", i + 1, zip_strerror(zip)));
    ArchiveEntry entry{stat.name, stat.size, false};  // libzip has made a space of a NUL
    const auto refuse = [&](const std::string& why) { fail(name_, entry.name, why); };
    if (entry.name.ends_with('/')) {
      entry.folder = true;
      entry.name.pop_back();
    }
    if (const auto fault = fault_of_name(entry.name); !fault.empty()) refuse(std::string(fault));
    if (stat.encryption_method != ZIP_EM_NONE) refuse("is encrypted");
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    zip_file_get_external_attributes(zip, i, 0, &system, &attributes);
    const auto type = static_cast<mode_t>(attributes >> 16) & S_IFMT;
    if (type == S_IFLNK) refuse("is a symbolic link");
    if (type != 0 && type != (entry.folder ? S_IFDIR : S_IFREG))
      refuse("is neither file nor folder");
    if (!state_->index.emplace(entry.name, i).second) refuse("is there twice");
    entries_.push_back(std::move(entry));
  }
  for (const ArchiveEntry& entry : entries_) {
    if (entry.folder) continue;
    const std::string folder = entry.name + '/';
    const auto below = state_->index.lower_bound(folder);
    if (below != state_->index.end() && below->first.starts_with(folder))
      fail(name_, below->first, "lies below a file");
  }
}

bool Archive::contains(const std::string& entry) const { return state_->index.contains(entry); }

std::vector<uint8_t> Archive::read(const std::string& entry, size_t limit) const {
  const auto found = state_->index.find(entry);
  if (found == state_->index.end()) throw Error(name_, "no " + printable(entry) + " in it");
  const ArchiveEntry& wanted = entries_[found->second];
  if (wanted.folder) fail(name_, entry, "is a folder");
  if (wanted.bytes > limit) {
    throw LimitError(name_, fmt::format("{}: {} bytes, more than {} are not unpacked",
                                        printable(entry), wanted.bytes, limit));
  }
  return read(found->second);
}

// In pieces: a declared size is not believed before that much has come.
std::vector<uint8_t> Archive::read(size_t index) const {
  const ArchiveEntry& entry = entries_[index];
  const std::unique_ptr<zip_file_t, CloseFile> file(zip_fopen_index(state_->zip.get(), index, 0));
  if (!file)
    fail(name_, entry.name, fmt::format("cannot be unpacked: {}", zip_strerror(state_->zip.get())));
  std::vector<uint8_t> bytes;
  std::array<uint8_t, size_t{1} << 16> piece;
  while (true) {
    const zip_int64_t n = zip_fread(file.get(), piece.data(), piece.size());
    if (n < 0)
      fail(name_, entry.name, fmt::format("cannot be unpacked: {}", zip_file_strerror(file.get())));
    if (n == 0) break;
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + n);
    if (bytes.size() > entry.bytes) break;
  }
  if (bytes.size() != entry.bytes)
    fail(name_, entry.name,
         fmt::format("has {} bytes than the {} that are declared",
                     bytes.size() < entry.bytes ? "fewer" : "more", entry.bytes));
  return bytes;
}

void Archive::check_limits(const UnpackLimits& limits) const {
  const auto refuse = [&](const std::string& what, uint64_t limit) {
    throw LimitError(name_, fmt::format("{}, more than {} are not unpacked", what, limit));
  };
  if (entries_.size() > limits.entries)
    refuse(fmt::format("{} entries", entries_.size()), limits.entries);
  uint64_t total = 0;
  for (const ArchiveEntry& entry : entries_) {
    if (entry.bytes > limits.entry_bytes)
      refuse(fmt::format("{}: {} bytes", printable(entry.name), entry.bytes), limits.entry_bytes);
    if (entry.bytes > limits.bytes - total)
      refuse(fmt::format("{} bytes and more", total + entry.bytes), limits.bytes);
    total += entry.bytes;
  }
  const uint64_t size = state_->bytes.size();
  if (total > limits.ratio * size)
    refuse(fmt::format("{} times its own size", (total + size - 1) / size), limits.ratio);
}

void Archive::unpack(const std::filesystem::path& folder, const UnpackLimits& limits) const {
  check_limits(limits);
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error || !std::filesystem::is_directory(folder, error))
    throw Error(folder.string(), "cannot be made: " + (error ? error.message() : "a file"));
  if (!std::filesystem::is_empty(folder, error))
    throw Error(folder.string(), error ? error.message() : "is not empty");
  for (size_t i = 0; i < entries_.size(); ++i) {
    const std::filesystem::path path = folder / entries_[i].name;
    if (entries_[i].folder) {
      make_folders(path);
    } else {
      make_folders(path.parent_path());
      write_file_atomically(path, read(i));
    }
  }
}

Archive open_archive(const std::filesystem::path& path) {
  return {read_file(path, kMaxArchiveBytes), path.string()};
}

namespace {

constexpr const char* kNewArchive = "new archive";

std::unique_ptr<zip_source_t, FreeSource> source_of(std::span<const uint8_t> bytes) {
  zip_error_t error;
  zip_error_init(&error);
  std::unique_ptr<zip_source_t, FreeSource> source(
      zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error));
  if (!source) throw Error(kNewArchive, "cannot be made: " + message(&error));
  return source;
}

void add_entry(zip_t* zip, const NewArchiveEntry& entry) {
  if (const auto fault = fault_of_name(entry.name); !fault.empty())
    fail(kNewArchive, entry.name, std::string(fault));
  auto source = source_of(entry.bytes);
  const zip_int64_t index = zip_file_add(zip, entry.name.c_str(), source.get(), ZIP_FL_ENC_UTF_8);
  if (index < 0) fail(kNewArchive, entry.name, zip_strerror(zip));
  source.release();  // the archive's now
  const auto i = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(zip, i, entry.stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0) != 0 ||
      zip_file_set_dostime(zip, i, kDosTime, kDosDate, 0) != 0)
    fail(kNewArchive, entry.name, zip_strerror(zip));
}

std::vector<uint8_t> bytes_of(zip_source_t* source) {
  zip_stat_t stat;
  if (zip_source_stat(source, &stat) != 0 || zip_source_open(source) != 0)
    throw Error(kNewArchive, zip_error_strerror(zip_source_error(source)));
  std::vector<uint8_t> bytes(stat.size);
  const zip_int64_t got = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (got != static_cast<zip_int64_t>(bytes.size()))
    throw Error(kNewArchive, zip_error_strerror(zip_source_error(source)));
  return bytes;
}

}  // namespace

std::vector<uint8_t> write_archive(std::span<const NewArchiveEntry> entries) {
  if (entries.empty()) throw Error(kNewArchive, "has no entries");
  const auto archive = source_of({});
  zip_error_t error;
  zip_error_init(&error);
  zip_source_keep(archive.get());  // zip has one reference, bytes_of the other
  std::unique_ptr<zip_t, Discard> zip(zip_open_from_source(archive.get(), ZIP_TRUNCATE, &error));
  if (!zip) {
    zip_source_free(archive.get());
    throw Error(kNewArchive, "cannot be made: " + message(&error));
  }
  zip_error_fini(&error);
  for (const NewArchiveEntry& entry : entries) add_entry(zip.get(), entry);
  if (zip_close(zip.get()) != 0)
    throw Error(kNewArchive, fmt::format("cannot be made: {}", zip_strerror(zip.get())));
  zip.release();
  return bytes_of(archive.get());
}

}  // namespace etude::midi
