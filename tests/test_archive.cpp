// ZIP archives: what is written is read again, and what is hostile or damaged is refused.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "midi/archive.h"
#include "midi/error.h"
#include "tests/midi_files.h"
#include "tests/zip_files.h"

using namespace etude::midi;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

const Bytes kShort = {'a', 'b', 'c'};
const Bytes kLong(20'000, 'x');

Bytes good_archive() {
  const std::vector<NewArchiveEntry> entries = {
      {"mimetype", kShort, true}, {"a/b/long.txt", kLong}, {"empty", {}}, {"a/\u00fc.mid", kShort}};
  return write_archive(entries);
}

std::string fault(const Bytes& bytes) {
  try {
    const Archive archive(bytes, "x.zip");
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

std::string fault_of_entry(const ZipEntry& entry) { return fault(zip_file({entry})); }

}  // namespace

TEST_CASE("what is written is read again") {
  const Archive archive(good_archive(), "good.zip");
  std::vector<std::string> names;
  for (const ArchiveEntry& entry : archive.entries()) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"mimetype", "a/b/long.txt", "empty", "a/\u00fc.mid"});
  CHECK(archive.entries()[1].bytes == kLong.size());
  CHECK(archive.read("a/b/long.txt", kLong.size()) == kLong);
  CHECK(archive.read("a/\u00fc.mid", 100) == kShort);
  CHECK(archive.read("empty", 0).empty());
  CHECK(archive.contains("empty"));
  CHECK_FALSE(archive.contains("a/b"));
  CHECK_THROWS_WITH_AS(archive.read("a/b/long.txt", kLong.size() - 1),
                       "good.zip: a/b/long.txt: 20000 bytes, more than 19999 are not unpacked",
                       LimitError);
  CHECK_THROWS_WITH_AS(archive.read("none", 9), "good.zip: no none in it", Error);
}

TEST_CASE("an archive's bytes are a function of its entries, in any time zone") {
  const Bytes first = good_archive();
  for (const char* zone : {"UTC", "Asia/Kolkata", "America/St_Johns", "Europe/London"}) {
    setenv("TZ", zone, 1);
    tzset();
    CHECK(good_archive() == first);
  }
  unsetenv("TZ");
  tzset();
  // A container's first file is found by its place and not compressed: no extra field, method 0.
  const std::string text(first.begin(), first.end());
  CHECK(text.substr(0, 4) == "PK\3\4");
  CHECK(text.substr(8, 2) == std::string(2, '\0'));
  CHECK(text.substr(10, 4) == std::string("\0\0\x21\0", 4));
  CHECK(text.substr(28, 2) == std::string(2, '\0'));
  CHECK(text.substr(30, 11) == "mimetypeabc");
}

TEST_CASE("an archive that cannot be written") {
  CHECK_THROWS_AS(write_archive({}), Error);
  for (const char* name : {"", "/a", "a/", "../a", "a\\b", "c:a"}) {
    INFO(name);
    const std::vector<NewArchiveEntry> entries = {{name, kShort}};
    CHECK_THROWS_AS(write_archive(entries), Error);
  }
  const std::vector<NewArchiveEntry> twice = {{"a", kShort}, {"a", kLong}};
  CHECK_THROWS_AS(write_archive(twice), Error);
}

TEST_CASE("unpacked into a new folder or an empty one") {
  const TemporaryFolder folder;
  const Bytes bytes = zip_file({{"top/", {}}, {"top/a.txt", kShort}, {"top/below/b.txt", kLong}});
  folder.write("x.zip", bytes);
  const Archive archive = open_archive(folder / "x.zip");
  archive.unpack(folder / "out");
  CHECK(file_bytes(folder / "out/top/a.txt") == kShort);
  CHECK(file_bytes(folder / "out/top/below/b.txt") == kLong);
  CHECK_THROWS_WITH_AS(archive.unpack(folder / "out"),
                       ((folder / "out").string() + ": is not empty").c_str(), Error);
  CHECK_THROWS_AS(archive.unpack(folder / "x.zip"), Error);
  CHECK_THROWS_AS(archive.unpack(folder / "no/such/parent"), Error);
  fs::create_directory(folder / "empty");
  archive.unpack(folder / "empty");
  CHECK(file_bytes(folder / "empty/top/a.txt") == kShort);
}

TEST_CASE("bombs: what is declared is limited, and more than is declared is refused") {
  const TemporaryFolder folder;
  const Bytes zeros(1'000'000, 0);
  const std::vector<NewArchiveEntry> entries = {{"zeros", zeros}};
  const Archive bomb(write_archive(entries), "bomb.zip");
  CHECK_THROWS_WITH_AS(bomb.unpack(folder / "a"),
                       doctest::Contains("times its own size, more than 100 are not unpacked"),
                       LimitError);
  CHECK_FALSE(fs::exists(folder / "a"));
  CHECK_THROWS_AS(bomb.unpack(folder / "a", {.bytes = 999'999, .ratio = 2000}), LimitError);
  CHECK_THROWS_AS(bomb.unpack(folder / "a", {.entry_bytes = 999'999, .ratio = 2000}), LimitError);
  CHECK_THROWS_AS(bomb.unpack(folder / "a", {.entries = 0, .ratio = 2000}), LimitError);
  bomb.unpack(folder / "a",
              {.entries = 1, .entry_bytes = 1'000'000, .bytes = 1'000'000, .ratio = 2000});
  CHECK(fs::file_size(folder / "a/zeros") == 1'000'000);

  // Exactly so many times its size, and one byte more.
  const auto unpacks = [&](size_t bytes, uint64_t ratio) {
    const TemporaryFolder there;
    const std::vector<NewArchiveEntry> some = {{"zeros", std::span(zeros).first(bytes)}};
    try {
      Archive(write_archive(some), "x").unpack(there / "a", {.ratio = ratio});
    } catch (const LimitError&) {
      return false;
    }
    return true;
  };
  size_t even = 100'000;
  const auto size_of = [&](size_t bytes) {
    const std::vector<NewArchiveEntry> some = {{"zeros", std::span(zeros).first(bytes)}};
    return write_archive(some).size();
  };
  while (even % size_of(even) != 0) ++even;
  REQUIRE(size_of(even + 1) == size_of(even));
  CHECK(unpacks(even, even / size_of(even)));
  CHECK_FALSE(unpacks(even + 1, even / size_of(even)));

  Bytes lie = write_archive(entries);
  const Bytes declared = {0x40, 0x42, 0x0F, 0x00};  // 1,000,000 in both headers
  for (auto place = lie.begin();
       (place = std::search(place, lie.end(), declared.begin(), declared.end())) != lie.end();)
    *place = 10, place[1] = place[2] = 0;
  const Archive liar(lie, "liar.zip");
  CHECK(liar.entries()[0].bytes == 10);
  CHECK_THROWS_WITH_AS(liar.read("zeros", 10), doctest::Contains("liar.zip: zeros: "), Error);
}

TEST_CASE("names that leave the folder, or collide") {
  const auto refused = [](const std::string& name, const std::string& why) {
    INFO(name);
    CHECK(fault_of_entry({name, kShort}).find(why) != std::string::npos);
  };
  refused("/etc/x", "x.zip: /etc/x: has an absolute path");
  refused("../x", "x.zip: ../x: has a path with \"..\"");
  refused("a/../../x", "has a path with \"..\"");
  refused("a/..", "has a path with \"..\"");
  refused("../", "has a path with \"..\"");
  refused("C:x", "has a path with a drive");
  refused("a\\..\\x", "has a path with a backslash");
  refused("a//b", "has a path with an empty part");
  refused("./a", "has a path with an empty part");
  refused("/", "has no name");
  refused("", "has no name");
  refused("a\nb", "x.zip: a\\x0ab: has a control character in its name");
  // A NUL hides nothing behind it.
  const Archive nul(zip_file({{std::string("a\0b", 3), kShort}}), "x.zip");
  CHECK(nul.entries()[0].name == "a b");
  refused(std::string("..\0/../a", 8), "has a path with \"..\"");
  CHECK(fault_of_entry({"a..b/..c", kShort}) == "none");

  CHECK(fault(zip_file({{"a", kShort}, {"a", kLong}})) == "x.zip: a: is there twice");
  CHECK(fault(zip_file({{"a", kShort}, {"a/", {}}})) == "x.zip: a: is there twice");
  CHECK(fault(zip_file({{"a/b/c", kShort}, {"a/b", kShort}})) == "x.zip: a/b/c: lies below a file");
  CHECK(fault(zip_file({{"a/b", kShort}, {"a/", {}}, {"a.b", kShort}})) == "none");
}

TEST_CASE("entries that are no plain files") {
  CHECK(fault_of_entry({.name = "link", .bytes = kShort, .mode = 0120777}) ==
        "x.zip: link: is a symbolic link");
  CHECK(fault_of_entry({.name = "pipe", .bytes = {}, .mode = 0010644}) ==
        "x.zip: pipe: is neither file nor folder");
  CHECK(fault_of_entry({.name = "file/", .bytes = {}, .mode = 0100644}) ==
        "x.zip: file: is neither file nor folder");
  CHECK(fault_of_entry({.name = "file", .bytes = kShort, .mode = 0100644}) == "none");
  CHECK(fault_of_entry({.name = "secret", .bytes = kShort, .flags = 1}) ==
        "x.zip: secret: is encrypted");
  const Archive strange(zip_file({{.name = "a", .bytes = kShort, .method = 77}}), "x.zip");
  CHECK_THROWS_WITH_AS(strange.read("a", 9), doctest::Contains("x.zip: a: cannot be unpacked: "),
                       Error);
}

TEST_CASE("cut short anywhere, or no archive at all") {
  const Bytes bytes = good_archive();
  for (size_t size = 1; size < bytes.size(); ++size) {
    INFO(size);
    CHECK(fault(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)))
              .starts_with("x.zip: not a ZIP archive, or damaged: "));
  }
  CHECK(fault({}) == "x.zip: the file is empty");
  CHECK(fault(Bytes(100, 'x')).starts_with("x.zip: "));
  CHECK_THROWS_AS(open_archive("/"), Error);
  CHECK_THROWS_AS(open_archive("/no/such/file"), Error);
}

TEST_CASE("a flipped bit is told, or changes no byte of what is read") {
  const Bytes bytes = good_archive();
  int told = 0;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    INFO(bit);
    Bytes damaged = bytes;
    damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ 1u << bit % 8);
    try {
      const Archive archive(damaged, "x.zip");
      for (const auto& [name, content] : {std::pair{"mimetype", kShort},
                                          {"a/b/long.txt", kLong},
                                          {"empty", Bytes()},
                                          {"a/\u00fc.mid", kShort}}) {
        if (!archive.contains(name)) continue;
        const bool same = archive.read(name, 100'000) == content;
        CHECK(same);
      }
    } catch (const Error& error) {
      ++told;
      CHECK(std::string(error.what()).starts_with("x.zip: "));
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
  CHECK(told > 1000);
}

TEST_CASE("an archive that declares more entries than it has room for") {
  Bytes many = good_archive();
  many[many.size() - 22 + 8] = many[many.size() - 22 + 10] = 0xFF;
  many[many.size() - 22 + 9] = many[many.size() - 22 + 11] = 0xFE;
  CHECK(fault(many).starts_with("x.zip: "));
  CHECK(fault(zip64_file_with_entries(uint64_t{1} << 31)).starts_with("x.zip: "));
  CHECK(fault(zip64_file_with_entries(uint64_t{1} << 60)).starts_with("x.zip: "));
}
