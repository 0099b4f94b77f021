// The reference's own figures, byte for byte: rolls made by pretty_midi, tokens and samples by the
// notebook's rules, corner cases of Standard MIDI Files.

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "midi/dataset.h"
#include "midi/error.h"
#include "midi/piano_roll.h"
#include "midi/score_file.h"
#include "midi/sha256.h"
#include "midi/smf_write.h"
#include "midi/tempo.h"
#include "tests/midi_files.h"
#include "tests/shared_data.h"

using namespace etude::midi;
using namespace etude::tests;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// "NAME.fs5.txt" -> 5, NAME
int compare_rolls(const fs::path& golden, const std::string& midi_folder, Pedal pedal) {
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(golden)) {
    const std::string file = entry.path().filename().string();
    const auto dot = file.rfind(".fs");
    if (!file.ends_with(".txt") || dot == std::string::npos) continue;
    const double rate = std::stod(file.substr(dot + 3));
    const auto score = read_score(shared(midi_folder + "/" + file.substr(0, dot) + ".mid"));
    INFO(file);
    CHECK((roll_text(make_piano_roll(score, {rate, pedal})) == file_text(entry.path())));
    ++compared;
  }
  return compared;
}

Json figures(const Dataset& data) {
  Json groups = Json::array();
  int64_t minibatches = 0;
  for (const SongGroup& group : song_groups(data, 16, 96)) {
    minibatches += group.minibatches;
    groups.push_back({{"songs", group.songs},
                      {"samples", group.samples},
                      {"minibatches", group.minibatches},
                      {"samples_dropped", group.dropped}});
  }
  Json songs = Json::array();
  for (const Song& song : data.songs) {
    songs.push_back({{"file", song.name},
                     {"columns", song.columns},
                     {"first_step", song.first_step},
                     {"last_step", song.last_step},
                     {"steps_with_notes", song.steps_with_notes},
                     {"samples", song.samples}});
  }
  int64_t silent_targets = 0;
  data.each_window(
      [&](int64_t o) { silent_targets += data.target(o) == data.vocabulary.silence(); });
  const auto tokens = data.vocabulary.tokens();
  return {{"songs", data.songs.size()},
          {"vocabulary_size", data.vocabulary.size()},
          {"note_tokens", data.vocabulary.size() - 1},
          {"e_index", data.vocabulary.silence()},
          {"softmax_size", data.vocabulary.classes()},
          {"steps_with_notes", data.steps_with_notes()},
          {"samples", data.samples()},
          {"targets_that_are_e", silent_targets},
          {"minibatches_of_96", minibatches},
          {"groups_of_16", groups},
          {"first_20_tokens", std::vector<std::string>(tokens.begin(), tokens.begin() + 20)},
          {"sha256_targets_i32le", sha256_targets(data)},
          {"sha256_windows_i32le", sha256_windows(data)},
          {"sha256_vocabulary", data.vocabulary.sha256()},
          {"per_song", songs}};
}

void check_equal(const Json& ours, const Json& golden) {
  for (const auto& [field, value] : golden.items()) {
    INFO(field);
    CHECK((ours.at(field) == value));
  }
}

constexpr Pedal kPedals[] = {Pedal::compat, Pedal::off};

const char* key_of(Pedal pedal) { return pedal == Pedal::compat ? "pedal" : "nopedal"; }

}  // namespace

TEST_CASE("rolls equal pretty_midi's, byte for byte") {
  ETUDE_NEEDS_SHARED("golden");
  CHECK(compare_rolls(shared("golden"), "maestro100", Pedal::compat) == 24);
  CHECK(compare_rolls(shared("golden/nopedal"), "maestro100", Pedal::off) == 20);
  CHECK(compare_rolls(shared("golden/scores"), "scores", Pedal::compat) == 12);
}

TEST_CASE("all rolls of maestro100 have pretty_midi's SHA-256: 5, 10 and 100 columns a second") {
  ETUDE_NEEDS_SHARED("maestro100");
  // By bench/peers/check_rolls.py --write.
  const Json hashes = Json::parse(std::ifstream(source_folder() + "/tests/data/roll_hashes.json"));
  int compared = 0;
  for (const auto& [file, rolls] : hashes.items()) {
    const auto score = read_score(shared("maestro100/" + file));
    for (const auto& [which, hash] : rolls.items()) {
      INFO(file << ", " << which);
      const size_t space = which.find(' ');
      Sha256 ours;
      ours.add(roll_text(make_piano_roll(
          score, {std::stod(which.substr(0, space)), pedal_named(which.substr(space + 1))})));
      CHECK((ours.hex() == hash));
      ++compared;
    }
  }
  CHECK(compared == 600);
}

TEST_CASE("tokens, samples and hashes of maestro100: table, folder, any number of threads") {
  ETUDE_NEEDS_SHARED("golden/tokens.json");
  const Json golden =
      Json::parse(std::ifstream(shared("golden/tokens.json")))["sets"]["maestro100"];
  for (const Pedal pedal : kPedals) {
    CAPTURE(key_of(pedal));
    const auto start = std::chrono::steady_clock::now();
    const auto data = load_dataset(shared("maestro100/maestro100.csv"), {.pedal = pedal});
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    MESSAGE("100 files to tokens, one thread: " << spent.count() << " ms");
    check_equal(figures(data), golden[key_of(pedal)]);
    CHECK(data.skipped.empty());
    const auto folder = load_dataset(shared("maestro100"), {.pedal = pedal, .threads = 3});
    CHECK((folder.tokens == data.tokens));
    CHECK(folder.vocabulary.sha256() == data.vocabulary.sha256());
  }
}

TEST_CASE("tokens, samples and hashes of the twenty, as a plain folder and as a JSON table") {
  ETUDE_NEEDS_SHARED("golden/tokens.json");
  const Json golden = Json::parse(std::ifstream(shared("golden/tokens.json")))["sets"]["golden20"];
  const TemporaryFolder folder;
  Json table;
  int row = 0;
  for (const Json& song : golden["pedal"]["per_song"]) {
    const std::string file = song["file"];
    fs::create_symlink(fs::absolute(shared("maestro100/" + file)), folder / file);
    table["midi_filename"][std::to_string(row++)] = file;
  }
  for (const Pedal pedal : kPedals) {
    CAPTURE(key_of(pedal));
    check_equal(figures(load_dataset(folder.path(), {.pedal = pedal})), golden[key_of(pedal)]);
    const auto json = folder.write("maestro-v3.0.0.json", table.dump());
    check_equal(figures(load_dataset(json, {.pedal = pedal})), golden[key_of(pedal)]);
  }
}

TEST_CASE("MIDI corner cases: what is to be read is read, and gives the figures expected") {
  ETUDE_NEEDS_SHARED("midi-corner-cases/expected.json");
  const Json expected =
      Json::parse(std::ifstream(shared("midi-corner-cases/expected.json")))["files"];
  int checked = 0;
  for (const auto& [file, want] : expected.items()) {
    INFO(file);
    ++checked;
    const std::string path = shared("midi-corner-cases/" + file);
    const std::string accept = want["accept"];
    if (accept == "no") {
      CHECK_THROWS_AS(read_score(path), Error);
      CHECK_THROWS_AS(read_score(path, Reading::recover), Error);
      continue;
    }
    if (accept == "yes") CHECK_NOTHROW(read_score(path));
    // Every "either" is read too when asked to recover, with the figures that its rules give.
    const Score score = read_score(path, Reading::recover);
    CHECK(score.format == want["format"]);
    const Json& division = want["division"];
    CHECK(score.division.smpte() == (division["type"] == "smpte"));
    if (score.division.smpte()) {
      CHECK(score.division.frame_code == division["frames_per_second_code"]);
      CHECK(score.division.ticks_per_frame == division["ticks_per_frame"]);
      CHECK(score.division.ticks_per_second() == division["ticks_per_second"]);
    } else {
      CHECK(score.division.ticks_per_quarter == division["ticks_per_quarter"]);
    }
    CHECK(score.tracks_declared == want["tracks_declared"]);
    CHECK(score.tracks.size() == want["tracks"]);
    CHECK(score.note_ons() == want["notes"]);
    CHECK(score.end_tick().count == want["end_tick"]);
    const EndTimes times = end_times(score);
    CHECK(times.last_event.count ==
          doctest::Approx(want["end_time_s"].get<double>()).epsilon(1e-12));
    CHECK(times.last_note_off.count ==
          doctest::Approx(want["last_note_off_s"].get<double>()).epsilon(1e-12));
    if (want.contains("end_time_s_alt")) {
      CHECK(times.last_event_by_first_track.count == want["end_time_s_alt"]);
    }
    CHECK(score.found.empty() == !want.contains("found"));
  }
  CHECK(checked == 56);
}
