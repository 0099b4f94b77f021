// What was made before is found again, only that, and only whole.

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "midi/compose.h"
#include "midi/dataset.h"
#include "midi/piece_tokens.h"
#include "midi/smf_write.h"
#include "midi/token_cache.h"
#include "tests/midi_files.h"
#include "tests/program.h"

using namespace etude::midi;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> kept(const TemporaryFolder& folder) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder / "cache", none))
    files.push_back(entry.path());
  return files;
}

struct Corpus {
  TemporaryFolder folder;
  fs::path pieces = write_corpus(folder, 5);

  Dataset load(DatasetOptions options = {}) const {
    options.cache_folder = folder / "cache";
    return load_dataset(pieces, options);
  }
};

void check_same(const Dataset& a, const Dataset& b) {
  CHECK((a.tokens == b.tokens));
  CHECK(a.vocabulary.sha256() == b.vocabulary.sha256());
  REQUIRE(a.songs.size() == b.songs.size());
  for (size_t i = 0; i < a.songs.size(); ++i) {
    CHECK(a.songs[i].name == b.songs[i].name);
    CHECK(a.songs[i].columns == b.songs[i].columns);
    CHECK(a.songs[i].first_step == b.songs[i].first_step);
    CHECK(a.songs[i].steps_with_notes == b.songs[i].steps_with_notes);
  }
  REQUIRE(a.skipped.size() == b.skipped.size());
  for (size_t i = 0; i < a.skipped.size(); ++i) CHECK(a.skipped[i].reason == b.skipped[i].reason);
}

}  // namespace

TEST_CASE("the cache gives what the files gave, skipped ones too") {
  Corpus corpus;
  corpus.folder.write("pieces/broken.mid", "no music");
  const Dataset plain = load_dataset(corpus.pieces, {});
  REQUIRE(plain.skipped.size() == 1);
  check_same(corpus.load(), plain);
  REQUIRE(kept(corpus.folder).size() == 1);
  check_same(corpus.load(), plain);
  check_same(corpus.load({.threads = 3}), plain);
  CHECK(kept(corpus.folder).size() == 1);
  // By content: names and places do not matter.
  fs::rename(corpus.pieces, corpus.folder / "moved");
  corpus.pieces = corpus.folder / "moved";
  check_same(corpus.load(), plain);
  CHECK(kept(corpus.folder).size() == 1);
}

TEST_CASE("what is found is what was kept: the file is read, not the music") {
  Corpus corpus;
  const Dataset before = corpus.load();
  const auto files = kept(corpus.folder);
  REQUIRE(files.size() == 1);
  const std::string key = files[0].stem().string();
  const TokenCache cache(corpus.folder / "cache");
  auto pieces = cache.find(key);
  REQUIRE(pieces);
  (*pieces)[0].columns += 1000;
  cache.keep(key, *pieces);
  CHECK(corpus.load().songs[0].columns == before.songs[0].columns + 1000);
}

TEST_CASE("a file under another key is not believed") {
  Corpus corpus;
  corpus.load();
  const fs::path file = kept(corpus.folder).at(0);
  const Dataset other = load_dataset(corpus.pieces, {.fs = 10});
  corpus.load({.fs = 10});
  for (const fs::path& each : kept(corpus.folder)) {
    if (each != file) fs::copy_file(file, each, fs::copy_options::overwrite_existing);
  }
  check_same(corpus.load({.fs = 10}), other);
}

TEST_CASE("what failed for want of memory is tried again") {
#ifdef __SANITIZE_ADDRESS__
  MESSAGE("skipped: AddressSanitizer needs more memory than this test allows");
  return;
#endif
  // Nothing to do with its content: the program may use 150 MB in all, and not the next time.
  const TemporaryFolder folder;
  Bytes notes;
  for (int i = 0; i < 1'000'000; ++i) {
    const Bytes note = {0x01, 0x90, 60, 1, 0x01, 60, 0};
    notes.insert(notes.end(), note.begin(), note.end());
  }
  folder.write("pieces/long.mid", header(0, 1, 480) + track(notes + kEnd));
  folder.write("pieces/short.mid", small_piece(1, 40));
  const std::vector<fs::path> paths = {folder / "pieces/long.mid", folder / "pieces/short.mid"};
  const TokenCache cache(folder / "cache");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  std::ifstream status("/proc/self/statm");
  rlim_t pages = 0;
  status >> pages;
  const rlimit small{pages * 4096 + (rlim_t{60} << 20), before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_AS, &small) == 0);
  const auto poor = read_piece_tokens(paths, {}, 1, cache);
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  REQUIRE(!poor[0].fault.empty());
  CHECK(poor[1].fault.empty());
  const auto rich = read_piece_tokens(paths, {}, 1, cache);
  CHECK(rich[0].fault.empty());
  CHECK(!rich[0].steps.empty());
}

TEST_CASE("another content, other options, another order: another key") {
  Corpus corpus;
  corpus.load();
  size_t count = 1;
  for (const DatasetOptions& options : std::vector<DatasetOptions>{
           {.fs = 10}, {.pedal = Pedal::off}, {.pedal = Pedal::extend}, {.sample = 2}}) {
    check_same(corpus.load(options), load_dataset(corpus.pieces, options));
    CHECK(kept(corpus.folder).size() == ++count);
  }
  corpus.folder.write("pieces/1.mid", small_piece(9, 50));
  check_same(corpus.load(), load_dataset(corpus.pieces, {}));
  CHECK(kept(corpus.folder).size() == ++count);
}

TEST_CASE("a damaged file of the cache is not believed, and written anew") {
  Corpus corpus;
  const Dataset plain = corpus.load();
  const fs::path file = kept(corpus.folder).at(0);
  const Bytes good = file_bytes(file);
  for (size_t at = 0; at < good.size(); at += 1 + good.size() / 300) {
    Bytes bad = good;
    bad[at] ^= 0x10;
    corpus.folder.write("cache/" + file.filename().string(), bad);
    check_same(corpus.load(), plain);
    CHECK((file_bytes(file) == good));
    bad.resize(at);
    corpus.folder.write("cache/" + file.filename().string(), bad);
    check_same(corpus.load(), plain);
  }
}

TEST_CASE("without a folder that can be written everything is read, and nothing is said") {
  Corpus corpus;
  corpus.folder.write("cache", "a file where the folder should be");
  check_same(corpus.load(), load_dataset(corpus.pieces, {}));
  // No folder is not the working folder.
  const TemporaryFolder here;
  const TokenCache cache(here.path());
  cache.keep("key", {});
  REQUIRE(cache.find("key"));
  const fs::path before = fs::current_path();
  fs::current_path(here.path());
  const TokenCache none({});
  CHECK(!none.find("key"));
  none.keep("other", {});
  CHECK((names_in(here.path()) == std::vector<std::string>{"key.tokens"}));
  fs::current_path(before);
}

TEST_CASE("beyond its size what was used longest ago goes") {
  const TemporaryFolder folder;
  const TokenCache cache(folder.path());
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 3; ++i) {
    const fs::path file = folder.write(std::to_string(i) + ".tokens", "x");
    fs::resize_file(file, TokenCache::kMostBytes / 3);
    fs::last_write_time(file, now - std::chrono::hours(10 - i));
  }
  folder.write("other.txt", "not ours");
  cache.keep("new", {PieceTokens{.fault = "broken"}});
  CHECK((names_in(folder.path()) ==
         std::vector<std::string>{"1.tokens", "2.tokens", "new.tokens", "other.txt"}));
  REQUIRE(cache.find("new"));
  CHECK(cache.find("new")->at(0).fault == "broken");
}

TEST_CASE("the program keeps tokens below XDG_CACHE_HOME, and none with --no-cache") {
  const TemporaryFolder folder;
  const fs::path pieces = write_corpus(folder);
  const std::string home = "XDG_CACHE_HOME=" + quoted(folder / "xdg");
  const Result first = ::etude::tests::etude(folder, "dataset --no-cache " + quoted(pieces), home);
  CHECK(first.status == 0);
  CHECK(!fs::exists(folder / "xdg"));
  CHECK(::etude::tests::etude(folder, "dataset " + quoted(pieces), home).out == first.out);
  CHECK(names_in(folder / "xdg" / "etude" / "tokens").size() == 1);
  CHECK(::etude::tests::etude(folder, "dataset " + quoted(pieces), home).out == first.out);
  // Neither variable: no cache, no fault.
  CHECK(::etude::tests::etude(folder, "dataset " + quoted(pieces), "XDG_CACHE_HOME= HOME=").out ==
        first.out);
}
