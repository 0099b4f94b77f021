// Folders, tables and single files to windows; the order of an epoch.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "midi/compose.h"
#include "midi/dataset.h"
#include "midi/error.h"
#include "midi/maestro.h"
#include "midi/published_feed.h"
#include "midi/sha256.h"
#include "midi/shuffle.h"
#include "midi/smf_write.h"
#include "tests/midi_files.h"
#include "tests/shared_data.h"

using namespace etude::midi;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

PitchSet one(int pitch) {
  PitchSet set;
  set.set(pitch);
  return set;
}

// A piece of `columns` columns at 5 a second, each with one pitch: first, first + 1, ... in turn.
Bytes piece(int first, int columns) {
  std::vector<PitchSet> all;
  for (int i = 0; i < columns; ++i) all.push_back(one(first + i % 5));
  return write_smf(compose(all, {}));
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

std::vector<std::string> names(const Dataset& data) {
  std::vector<std::string> all;
  for (const Song& song : data.songs) all.push_back(song.name);
  return all;
}

using Names = std::vector<std::string>;

constexpr const char* kHead =
    "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n";

// A set of songs of so many samples each, without files.
Dataset made(const std::vector<int64_t>& samples) {
  Dataset data;
  for (const int64_t n : samples) {
    data.songs.push_back({"song", n + 1, 0, n, n + 1, static_cast<int64_t>(data.tokens.size()), n});
    data.tokens.resize(data.tokens.size() + static_cast<size_t>(n + kWindow), 1);
  }
  return data;
}

}  // namespace

TEST_CASE("a song's windows: 49 silences, then its columns; silence inside, none at the ends") {
  const TemporaryFolder folder;
  const std::vector<PitchSet> columns = {{}, one(60), one(62), {}, one(60), one(64), {}, {}};
  const auto file = folder.write("a.mid", write_smf(compose(columns, {})));
  const Dataset data = load_dataset(file, {});
  CHECK(names(data) == Names{"a.mid"});
  CHECK(data.vocabulary.tokens() == Names{"60", "62", "64", "e"});
  const Song& song = data.songs[0];
  CHECK(song.columns == 8);
  CHECK(song.first_step == 1);
  CHECK(song.last_step == 5);
  CHECK(song.steps_with_notes == 4);
  CHECK(song.samples == 4);
  CHECK(data.samples() == 4);
  std::vector<int32_t> want(49, 4);
  want.insert(want.end(), {1, 2, 4, 1, 3});
  CHECK(data.tokens == want);
  std::vector<int32_t> targets;
  data.each_window([&](int64_t o) { targets.push_back(data.target(o)); });
  CHECK((targets == std::vector{2, 4, 1, 3}));
  CHECK(data.input(song.first_token)[49] == 1);
  const std::vector<int32_t> by_hand = {2, 4, 1, 3};
  Sha256 hash;
  hash.add(std::span(by_hand));
  CHECK(sha256_targets(data) == hash.hex());
}

TEST_CASE("a folder: .mid and .midi below it by name; what is broken is skipped, named, counted") {
  const TemporaryFolder folder;
  folder.write("b.mid", piece(60, 10));
  folder.write("a.MIDI", piece(50, 20));
  folder.write("c/d.midi", piece(40, 5));
  folder.write("broken.mid", "MThd, so it says");
  Bytes cut = piece(60, 9);
  cut.resize(cut.size() - 3);
  folder.write("cut.mid", cut);
  folder.write("silent.mid", header(0, 1, 480) + track(kEnd));
  folder.write("brief.mid",
               header(0, 1, 480) + track(Bytes{0x00, 0x90, 60, 1, 0x05, 60, 0} + kEnd));
  folder.write("notes.txt", "not music");
  const Dataset data = load_dataset(folder.path(), {});
  CHECK(names(data) == Names{"a.MIDI", "b.mid", "c/d.midi"});
  CHECK(data.samples() == 19 + 9 + 4);
  REQUIRE(data.skipped.size() == 4);
  CHECK(data.skipped[0].file == "brief.mid");
  CHECK(data.skipped[0].reason == "no column sounds at 5 columns a second");
  CHECK(data.skipped[1].file == "broken.mid");
  CHECK(data.skipped[1].reason == "byte 4: header length 740324207 runs past the file");
  CHECK(data.skipped[2].reason.starts_with("byte 18: track length runs 3 bytes past the file"));
  CHECK(data.skipped[3].reason == "no note that begins and ends");
  const Dataset again = load_dataset(folder.path(), {.threads = 4});
  CHECK(again.tokens == data.tokens);
  CHECK(again.skipped.size() == 4);
}

TEST_CASE("nothing to read is an error") {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  const auto load = [&](const std::string& name, const DatasetOptions& options = {}) {
    return message_of([&] { load_dataset(name.empty() ? folder.path() : folder / name, options); });
  };
  CHECK(load("none") == path + "/none: no such file or folder");
  CHECK(load("") ==
        path + ": no MIDI or MusicXML file (.mid, .midi, .musicxml, .mxl) in the folder");
  folder.write("bad.mid", "");
  CHECK(load("bad.mid") == path + "/bad.mid: byte 0: the file is empty");
  CHECK(load("") == path +
                        ": no file that can be used; 1 skipped, the first: bad.mid: byte 0: "
                        "the file is empty");
  folder.write("good.mid", piece(60, 9));
  CHECK(load("", {.sample = 2}) == path +
                                       ": a sample of 2 songs is wanted, there are 1; 1 skipped, "
                                       "the first: bad.mid: byte 0: the file is empty");
  CHECK(load("", {.split = "train"}) == path + ": no MAESTRO table in the folder, so no splits");
  CHECK(load("good.mid", {.split = "train"}) == path + "/good.mid: a single piece has no splits");
  CHECK(load("good.mid", {.fs = 0}).find("above 0") != std::string::npos);
  CHECK(load("good.mid", {.fs = HUGE_VAL}).find("above 0") != std::string::npos);
  CHECK(load("good.mid", {.fs = 1e-9}) ==
        path + "/good.mid: no column sounds at 1e-09 columns a second");
}

TEST_CASE("a CSV table: quotes, splits, order, a byte order mark, Windows line ends") {
  const TemporaryFolder folder;
  for (const char* name : {"x.mid", "2004/y.midi", "with,comma.mid"})
    folder.write(name, piece(60, 8));
  const std::string rows =
      "\xEF\xBB\xBF" + std::string(kHead) +
      "Frédéric Chopin,\"Op. 10, \"\"Tristesse\"\"\",train,2004,2004/y.midi,a.wav,1.5\r\n"
      "\r\n"
      "J. S. Bach,\"two\nlines\",test,2004,\"with,comma.mid\",b.wav,2\r\n"
      "J. S. Bach,Plain,train,2005,x.mid,c.wav,3";
  const auto table = folder.write("maestro.csv", rows);
  const auto read = read_table(table);
  REQUIRE(read.size() == 3);
  CHECK(read[0].composer == "Frédéric Chopin");
  CHECK(read[0].title == "Op. 10, \"Tristesse\"");
  CHECK(read[1].title == "two\nlines");
  CHECK(read[2].place == "row 3 (line 6)");
  CHECK(names(load_dataset(table, {})) == Names{"2004/y.midi", "with,comma.mid", "x.mid"});
  CHECK(names(load_dataset(table, {.split = "train"})) == Names{"2004/y.midi", "x.mid"});
  // The folder obeys the table that lies in it; files that it does not name come last.
  folder.write("another.mid", piece(60, 8));
  CHECK(names(load_dataset(folder.path(), {})) ==
        Names{"2004/y.midi", "with,comma.mid", "x.mid", "another.mid"});
  CHECK(names(load_dataset(folder.path(), {.split = "test"})) == Names{"with,comma.mid"});
  CHECK(message_of([&] { load_dataset(table, {.split = "tset"}); }) ==
        table.string() + ": no row of split \"tset\"; there are: test, train");
}

TEST_CASE("faults of a CSV table are told with row and line") {
  const TemporaryFolder folder;
  folder.write("x.mid", piece(60, 8));
  const auto fault = [&](const std::string& text) {
    const auto table = folder.write("t.csv", text);
    std::string message = message_of([&] { load_dataset(table, {}); });
    REQUIRE(message.starts_with(table.string() + ": "));
    return message.substr(table.string().size() + 2);
  };
  const std::string head = kHead;
  CHECK(fault("") == "line 1: the table is empty");
  CHECK(fault("a,b\n1,2\n") == "line 1: no column midi_filename");
  CHECK(fault(head) == "the table has no rows");
  CHECK(fault(head + "a,b,train,2004,x.mid,w,1\na,b\n") ==
        "row 2 (line 3): 2 fields where the first line has 7");
  CHECK(fault(head + "a,\"b,train,2004,x.mid,w,1\n") == "line 2: a quote is never closed");
  CHECK(fault(head + "a,\"b\"c,train,2004,x.mid,w,1\n") == "line 2: text after a closing quote");
  CHECK(fault(head + "a,b,train,2004,,w,1\n") == "row 1 (line 2): midi_filename is empty");
  CHECK(fault(head + "a,b,train,2004,x.mid,w,1\na,b,train,2004,gone.mid,w,1\n") ==
        "row 2 (line 3): " + (folder / "gone.mid").string() + ": no such file");
}

TEST_CASE("JSON tables: columns as in v3, rows in order of number; rows as before; their faults") {
  const TemporaryFolder folder;
  std::string files, splits;
  for (int i = 0; i < 12; ++i) {
    const std::string n = std::to_string(i);
    folder.write(n + ".mid", piece(60, 8));
    files += (i ? ",\"" : "\"") + n + "\":\"" + n + ".mid\"";
    splits += (i ? ",\"" : "\"") + n + "\":\"" + (i % 2 ? "train" : "test") + "\"";
  }
  const auto table =
      folder.write("m.json", "{\"split\":{" + splits + "},\"midi_filename\":{" + files + "}}");
  CHECK(names(load_dataset(table, {})).at(11) == "11.mid");
  CHECK(names(load_dataset(table, {.split = "test"})) ==
        Names{"0.mid", "2.mid", "4.mid", "6.mid", "8.mid", "10.mid"});
  const auto rows = folder.write(
      "v2.json", R"([{"midi_filename":"3.mid","split":"train"},{"midi_filename":"1.mid"}])");
  CHECK(names(load_dataset(rows, {})) == Names{"3.mid", "1.mid"});

  const auto fault = [&](const std::string& text) {
    const auto bad = folder.write("bad.json", text);
    return message_of([&] { load_dataset(bad, {}); }).substr(bad.string().size() + 2);
  };
  CHECK(fault("{\"midi_filename\": {") == "byte 20: not JSON");
  CHECK(fault("{}") == "no column midi_filename");
  CHECK(fault("7") == "no column midi_filename");
  CHECK(fault(R"({"midi_filename":{"a":"x.mid"}})") ==
        "midi_filename, member \"a\": a row number with a text is wanted");
  CHECK(fault(R"({"midi_filename":{"0":7}})") ==
        "midi_filename, member \"0\": a row number with a text is wanted");
  CHECK(fault("[1]") == "row 1: midi_filename is empty");
  CHECK(fault(R"([{"midi_filename":5}])") == "row 1: midi_filename is not a text");
  CHECK(fault("[]") == "the table has no rows");
  CHECK(fault(R"({"midi_filename":{"0":"gone.mid"}})") ==
        "row 1: " + (folder / "gone.mid").string() + ": no such file");
  CHECK(fault(std::string(100000, '[')).ends_with("not JSON"));
}

TEST_CASE("hostile tables") {
  const TemporaryFolder folder;
  folder.write("x.mid", piece(60, 8));
  std::mt19937 random(4);
  const std::string csv =
      std::string(kHead) + "a,\"b, \"\"c\"\"\",train,2004,x.mid,w,1\na,b,test,2004,x.mid,w,1\n";
  const std::string json = R"({"split":{"0":"train"},"midi_filename":{"0":"x.mid"}})";
  for (int i = 0; i < 400; ++i) {
    for (const bool is_csv : {true, false}) {
      std::string text = is_csv ? csv : json;
      for (auto k = random() % 3 + 1; k > 0; --k)
        text[random() % text.size()] = static_cast<char>(random());
      if (random() % 2) text.resize(random() % text.size());
      try {
        load_dataset(folder.write(is_csv ? "t.csv" : "t.json", text), {});
      } catch (const Error&) {
      }
    }
  }
}

TEST_CASE("a sample is drawn by the seed, kept in file order, and made of files that can be used") {
  const TemporaryFolder folder;
  for (char c = 'a'; c < 'k'; ++c) folder.write(std::string(1, c) + ".mid", piece(60, 8));
  folder.write("bad.mid", "");
  std::set<Names> seen;
  std::map<std::string, int> drawn;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const auto sample = load_dataset(folder.path(), {.sample = 3, .seed = seed});
    CHECK(sample.songs.size() == 3);
    CHECK(std::ranges::is_sorted(names(sample)));
    CHECK(names(sample) == names(load_dataset(folder.path(), {.sample = 3, .seed = seed})));
    seen.insert(names(sample));
    for (const auto& name : names(sample)) ++drawn[name];
  }
  CHECK(seen.size() > 25);  // of 120
  CHECK(drawn.size() == 10);
  for (const auto& [name, count] : drawn) CHECK(std::abs(count - 18) < 14);
  CHECK(load_dataset(folder.path(), {.sample = 10}).songs.size() == 10);
}

TEST_CASE("with a fixed vocabulary, what it lacks is class 0: kept and counted") {
  const TemporaryFolder folder;
  const std::vector<PitchSet> columns = {one(60), one(99), one(62), one(99), one(60)};
  const auto file = folder.write("a.mid", write_smf(compose(columns, {})));
  Vocabulary fixed;
  fixed.add(one(62));
  fixed.add(one(60));
  const Dataset data = load_dataset(file, {}, fixed);
  CHECK(data.vocabulary.sha256() == fixed.sha256());
  CHECK(data.unknown_tokens == 2);
  CHECK(data.unknown_targets == 2);
  CHECK(data.samples() == 4);
  std::vector<int32_t> want(49, 3);
  want.insert(want.end(), {2, 0, 1, 0, 2});
  CHECK(data.tokens == want);
  CHECK(data.target(0) == 0);
  CHECK(data.target(1) == 1);
  CHECK(load_dataset(file, {}).unknown_tokens == 0);
}

TEST_CASE("an epoch's order: groups of songs, whole minibatches, each window at most once") {
  const Dataset data = made({10, 0, 25, 3, 40, 17, 8});
  constexpr int kGroup = 3, kBatch = 4;
  const auto order = epoch_order(data, 5, 0, kGroup, kBatch);
  CHECK(order.size() % kBatch == 0);
  CHECK(std::set(order.begin(), order.end()).size() == order.size());
  const auto song_of = [&](int64_t offset) {
    for (size_t s = 0; s < data.songs.size(); ++s) {
      const int64_t i = offset - data.songs[s].first_token;
      if (i >= 0 && i < data.songs[s].samples) return static_cast<int>(s);
    }
    return -1;
  };
  // Songs of one group stay together: a song's windows lie between those of at most its group.
  std::map<int, std::pair<size_t, size_t>> reach;
  for (size_t i = 0; i < order.size(); ++i) {
    const int song = song_of(order[i]);
    REQUIRE(song >= 0);
    reach.try_emplace(song, i, i).first->second.second = i;
  }
  for (size_t i = 0; i < order.size(); i += kBatch) {
    int across = 0;
    for (const auto& [song, span] : reach) across += span.first <= i && i <= span.second;
    CHECK(across <= kGroup);
  }
  CHECK(order == epoch_order(data, 5, 0, kGroup, kBatch));
  CHECK(order != epoch_order(data, 6, 0, kGroup, kBatch));
  CHECK(order != epoch_order(data, 5, 1, kGroup, kBatch));
  // Fewer than a minibatch of each of the three groups is dropped.
  CHECK(static_cast<int64_t>(order.size()) > data.samples() - 3 * kBatch);
  // With one group and batches of one, nothing is.
  CHECK(static_cast<int64_t>(epoch_order(data, 5, 0, 100, 1).size()) == data.samples());
  CHECK(epoch_order(data, 5, 0, 100, 1000).empty());
  CHECK_THROWS_AS(epoch_order(data, 5, 0, 0, 1), std::invalid_argument);
  CHECK_THROWS_AS(epoch_order(data, 5, 0, 1, 0), std::invalid_argument);
  CHECK(song_groups(data, 3, 4).size() == 3);
  CHECK(song_groups(data, 3, 4)[0].samples == 35);
  CHECK(song_groups(data, 3, 4)[0].minibatches == 8);
  CHECK(song_groups(data, 3, 4)[0].dropped == 3);
}

TEST_CASE("an epoch's order is the same on every machine") {
  // From a separate implementation in Python, of the generator too (MT19937-64).
  const auto order = epoch_order(made({5, 5}), 42, 3, 1, 1);
  CHECK((order == std::vector<int64_t>{55, 59, 57, 58, 56, 0, 1, 4, 3, 2}));
}

TEST_CASE("shuffles are fair") {
  std::map<std::vector<int>, int> seen;
  std::mt19937_64 random(mixed_seed(1, 2));
  for (int i = 0; i < 6000; ++i) {
    std::vector<int> items = {1, 2, 3};
    shuffle(std::span(items), random);
    ++seen[items];
  }
  CHECK(seen.size() == 6);
  for (const auto& [order, count] : seen) CHECK(std::abs(count - 1000) < 150);
  CHECK(mixed_seed(0, 0) != mixed_seed(0, 1));
  CHECK(mixed_seed(0, 0) != mixed_seed(1, 0));
}

TEST_CASE("the published feed: the minibatches of epoch_order; a file that changed is named") {
  const TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) folder.write("m/" + std::to_string(i) + ".mid", piece(60 + i, 9 + i));
  const Dataset data = load_dataset(folder / "m", {});
  constexpr int kGroup = 2, kBatch = 7;
  PublishedFeed feed(data, {}, kGroup, kBatch);
  std::vector<int32_t> inputs(kBatch * kWindow), targets(kBatch);
  for (const int epoch : {0, 1}) {
    const auto order = epoch_order(data, 5, epoch, kGroup, kBatch);
    REQUIRE(order.size() > 3 * kBatch);
    feed.begin_epoch(5, epoch);
    for (size_t i = 0; i < order.size(); ++i) {
      while (feed.left() == 0 && i % kBatch == 0) feed.read_group();
      if (i % kBatch == 0) feed.next(inputs.data(), targets.data());
      const size_t row = i % kBatch;
      CHECK(std::equal(data.input(order[i]), data.input(order[i]) + kWindow,
                       inputs.data() + row * kWindow));
      CHECK(data.target(order[i]) == targets[row]);
    }
  }
  for (const int columns : {9, 30}) {  // other pitches; another length
    for (int i = 0; i < 5; ++i)
      folder.write("m/" + std::to_string(i) + ".mid", piece(90, columns + i));
    feed.begin_epoch(5, 2);
    CHECK(message_of([&] {
            feed.read_group();
          }).ends_with(".mid: it changed while it was trained on"));
  }
}
