#include "midi/archive.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz/targets.h"
#include "midi/error.h"

namespace etude::fuzz {
namespace {

constexpr size_t kMostEntries = 32;
constexpr size_t kMostBytes = 1 << 16;

struct File {
  std::string name;
  std::vector<uint8_t> bytes;
};

void check_name(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path("folder") / name;
  expect(path.lexically_normal() == path, "a name that leads elsewhere");
  expect(path.string().starts_with("folder/"), "a name that leaves the folder");
}

void check_written(const std::vector<File>& files) {
  std::vector<midi::NewArchiveEntry> entries;
  for (const File& file : files) entries.push_back({file.name, file.bytes, file.bytes.size() < 9});
  const midi::Archive again(midi::write_archive(entries), "again.zip");
  expect(again.entries().size() == files.size(), "entries were lost");
  for (const File& file : files)
    expect(again.read(file.name, kMostBytes) == file.bytes, "an entry was changed");
}

}  // namespace

void archive(Bytes bytes) {
  std::vector<File> files;
  try {
    const midi::Archive archive({bytes.begin(), bytes.end()}, "x.zip");
    for (const midi::ArchiveEntry& entry : archive.entries()) {
      check_name(entry.name);
      if (entry.folder || files.size() == kMostEntries) continue;
      try {
        files.push_back({entry.name, archive.read(entry.name, kMostBytes)});
      } catch (const midi::Error&) {
      }
    }
  } catch (const midi::Error&) {
    return;
  }
  if (!files.empty()) check_written(files);
}

}  // namespace etude::fuzz
