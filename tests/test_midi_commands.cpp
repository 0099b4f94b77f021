// `etude info`, `etude roll`, `etude dataset` as a user runs them: what is on stdout, what on
// stderr, the exit status, and what is left on disk.

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "midi/compose.h"
#include "midi/dataset.h"
#include "midi/smf_write.h"
#include "tests/made_up_score.h"
#include "tests/midi_files.h"
#include "tests/shared_data.h"

using namespace etude::midi;
using namespace etude::tests;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct Result {
  int status;
  std::string out, err;
};

Result run(const TemporaryFolder& folder, const std::string& arguments) {
  const std::string out = (folder / "stdout").string(), err = (folder / "stderr").string();
  const int status =
      std::system(("'" ETUDE_PROGRAM "' " + arguments + " >'" + out + "' 2>'" + err + "'").c_str());
  Result result{WIFEXITED(status) ? WEXITSTATUS(status) : -1, file_text(out), file_text(err)};
  fs::remove(out);
  fs::remove(err);
  return result;
}

int64_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

std::string in_quotes(const fs::path& path) { return "'" + path.string() + "'"; }

Bytes tune(int seed, int columns) {
  std::vector<PitchSet> all(static_cast<size_t>(columns));
  for (int i = 0; i < columns; ++i) {
    if (i % 7 != 3) all[static_cast<size_t>(i)].set(40 + (i * seed) % 37);
  }
  return write_smf(compose(all, {}));
}

// What every failure looks like.
void check_failure(const Result& result, int status, const std::string& part) {
  CHECK(result.status == status);
  CHECK(result.out.empty());
  CHECK(lines(result.err) == 1);
  CHECK(result.err.starts_with("etude: "));
  INFO(result.err);
  CHECK(result.err.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("info: text, one line of JSON a file, broken files among good ones") {
  const TemporaryFolder folder;
  const auto good = folder.write("good.mid", tune(3, 20));
  const auto bad = folder.write("bad.mid", "no music");
  const auto worse = folder.write("worse.mid", "");
  Result result = run(folder, "info " + in_quotes(good));
  CHECK(result.status == 0);
  CHECK(result.err.empty());
  CHECK(result.out.find("format 0, 480 ticks a quarter note, 1 track") != std::string::npos);
  CHECK(result.out.find("ends at 4.000 s") != std::string::npos);

  result = run(folder, "info --json " + in_quotes(good) + " " + in_quotes(bad) + " " +
                           in_quotes(good) + " " + in_quotes(worse));
  CHECK(result.status == 1);
  CHECK(lines(result.out) == 2);
  CHECK(result.err == "etude: " + bad.string() +
                          ": byte 0: not a MIDI file: it does not begin with MThd\n" +
                          "etude: " + worse.string() + ": byte 0: the file is empty\n");
  const Json json = Json::parse(result.out.substr(0, result.out.find('\n')));
  CHECK(json["division"]["ticks_per_quarter"] == 480);
  CHECK(json["tempo_changes"] == 1);
  CHECK(json["tracks_declared"] == 1);
  CHECK(json["end_time_s"].get<double>() == doctest::Approx(4).epsilon(1e-5));
}

TEST_CASE("info: how a piece begins, and each track that has notes") {
  const TemporaryFolder folder;
  MadeUpScore score;
  score.meter(0, 6, 3).key(0, -3, true).tempo(0, 600'000).tempo(480, 500'000).name("Bass", 2);
  score.channel(0, EventKind::program, 3, 33, 0, 2);
  score.notes({{0, 100, 60, 80, 1}, {100, 200, 72, 80, 1}});
  score.notes({{0, 100, 30, 80, 2, 3}, {100, 200, 35, 80, 2, 3}, {200, 240, 31, 80, 2, 9}});
  const auto file = in_quotes(folder.write("a.mid", write_smf(score.score())));
  const Result result = run(folder, "info " + file);
  CHECK(result.out.find("begins in 6/8, C minor, 100 quarter notes a minute\n") !=
        std::string::npos);
  CHECK(result.out.find("  track 1: 2 notes, pitches 60 to 72, Piano\n"
                        "  track 2 \"Bass\": 3 notes, pitches 30 to 35, Bass, Drums\n") !=
        std::string::npos);
  const Json json = Json::parse(run(folder, "info --json " + file).out);
  CHECK(json["begins"] ==
        Json({{"quarters_per_minute", 100.0}, {"meter", "6/8"}, {"key", "C minor"}}));
  CHECK(json["tracks_with_notes"].size() == 2);
  CHECK(json["tracks_with_notes"][1]["instruments"] == Json({"Bass", "Drums"}));
}

TEST_CASE("info: SMPTE time, format 2, long names, no notes") {
  const TemporaryFolder folder;
  MadeUpScore first;
  first.tempo(0, 1'000'000).meter(0, 3, 2).name(std::string(79, 'x') + "\xC3\xA4 and on");
  first.notes({{0, 100, 60}}).tempo(100, 600'000);
  Score made = first.score();
  made.format = 2;
  made.tracks.push_back(made.tracks[0]);
  std::erase_if(made.tracks[0].events, [](const Event& e) { return e.is_note_on(); });
  std::erase_if(made.tracks[1].events, [](const Event& e) {
    return e.tick == Ticks{} && !e.is_note_on() && !e.is_meta(meta::track_name);
  });
  const auto text = [&] {
    return run(folder, "info " + in_quotes(folder.write("a.mid", write_smf(made)))).out;
  };
  CHECK(text().find("begins in 3/4, 60 quarter notes a minute\n") != std::string::npos);
  CHECK(text().find("track 1 \"" + std::string(79, 'x') + "...\": 1 note,") != std::string::npos);
  made.division = {.ticks_per_quarter = 0, .frame_code = 25, .ticks_per_frame = 40};
  CHECK(text().find("begins in 3/4\n") != std::string::npos);
  made.tracks.pop_back();
  CHECK(text().find("track 0") == std::string::npos);
  const Json json = Json::parse(run(folder, "info --json " + in_quotes(folder / "a.mid")).out);
  CHECK(json["begins"]["quarters_per_minute"].is_null());
  CHECK(json["tracks_with_notes"] == Json::array());
}

TEST_CASE("an error that --recover would spare says so") {
  const TemporaryFolder folder;
  Bytes cut = tune(3, 20);
  cut.resize(cut.size() - 20);
  const auto file = in_quotes(folder.write("cut.mid", cut));
  for (const char* command : {"info ", "roll "}) {
    check_failure(run(folder, command + file), 1, " (--recover takes what can be read)\n");
    CHECK(run(folder, command + file + " --recover").status == 0);
  }
  const auto text = in_quotes(folder.write("text.mid", "no music"));
  CHECK(run(folder, "info " + text).err.find("--recover") == std::string::npos);
}

TEST_CASE("info: the figures that the reference expects") {
  ETUDE_NEEDS_SHARED("midi-corner-cases/expected.json");
  const TemporaryFolder folder;
  const Json expected = Json::parse(file_text(shared("midi-corner-cases/expected.json")))["files"];
  for (const auto& [file, want] : expected.items()) {
    INFO(file);
    const std::string path = in_quotes(shared("midi-corner-cases/" + file));
    const Result result = run(folder, "info --json " + path);
    if (want["accept"] == "yes") CHECK(result.status == 0);
    if (want["accept"] == "no") CHECK(result.status == 1);
    if (result.status != 0) {
      check_failure(result, 1, ": byte ");
      continue;
    }
    const Json got = Json::parse(result.out);
    for (const char* field :
         {"format", "division", "tracks_declared", "tracks", "notes", "end_tick"}) {
      CHECK((got[field] == want[field]));
    }
    for (const char* field : {"end_time_s", "last_note_off_s"}) {
      CHECK(got[field].get<double>() == doctest::Approx(want[field].get<double>()).epsilon(1e-12));
    }
    CHECK(got.value("end_time_s_alt", -1.0) == want.value("end_time_s_alt", -1.0));
  }
}

TEST_CASE("roll: text to stdout, a picture to a file") {
  const TemporaryFolder folder;
  const auto file = folder.write("a & b.mid", tune(3, 400));
  Result result = run(folder, "roll " + in_quotes(file));
  CHECK(result.status == 0);
  CHECK(result.err.empty());
  CHECK(result.out.starts_with("# fs=5 columns=400\n0: 40\n1: 43\n2: 46\n4: 52\n"));
  CHECK(run(folder, "roll --fs 2.5 --pedal off " + in_quotes(file))
            .out.starts_with("# fs=2.5 columns=200\n"));

  result = run(folder, "roll " + in_quotes(file) + " --svg " + in_quotes(folder / "a.svg"));
  CHECK(result.status == 0);
  CHECK(result.out.empty());
  const std::string svg = file_text(folder / "a.svg");
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(svg.find(">a &amp; b</text>") != std::string::npos);
  CHECK(svg.find(">C3</text>") != std::string::npos);
  CHECK(svg.find(">10 s</text>") != std::string::npos);
  CHECK(svg.find("class=\"note\"") != std::string::npos);
  CHECK(svg.find("class=\"stroke\"") != std::string::npos);

  check_failure(run(folder, "roll " + in_quotes(folder / "none.mid")), 1,
                "none.mid: cannot be opened: No such file");
  check_failure(run(folder, "roll " + in_quotes(file) + " --svg " + in_quotes(folder / "no/a.svg")),
                1, "a.svg: cannot be written");
  check_failure(run(folder, "roll " + in_quotes(file) + " --fs 1e9"), 1,
                "columns, beyond the limit");
  check_failure(run(folder, "roll " + in_quotes(file) + " --fs 0"), 2, "--fs");
  check_failure(run(folder, "roll " + in_quotes(file) + " --pedal half"), 2, "{compat,extend,off}");
  check_failure(run(folder, "roll"), 2, "FILE is required");
}

TEST_CASE("dataset: report, JSON, what is skipped") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "music");
  folder.write("music/a.mid", tune(3, 300));
  folder.write("music/b.mid", tune(5, 200));
  folder.write("music/c.mid", "broken");
  const std::string path = in_quotes(folder / "music");
  Result result = run(folder, "dataset " + path);
  CHECK(result.status == 0);
  CHECK(result.err ==
        "etude: skipped c.mid: byte 0: not a MIDI file: it does not begin with MThd\n"
        "etude: 1 of 3 files skipped\n");
  CHECK(result.out.find("(1 files skipped)") != std::string::npos);

  const Json json = Json::parse(run(folder, "dataset --json " + path + " 2>/dev/null").out);
  CHECK(json["songs"] == 2);
  CHECK(json["skipped"][0]["file"] == "c.mid");
  CHECK(json["samples"] == 299 + 198);
  CHECK(json["minibatches_of_96"] == 5);
  CHECK(json["groups_of_16"].size() == 1);
  CHECK(json["vocabulary_size"] == json["note_tokens"].get<int>() + 1);
  CHECK(json["per_song"][1]["file"] == "b.mid");
  check_failure(run(folder, "dataset " + in_quotes(folder / "gone")), 1,
                "gone: no such file or folder");
  check_failure(run(folder, "dataset " + path + " --batches 2"), 2, "--out");
  check_failure(run(folder, "dataset " + path + " --sample -1"), 2, "--sample");
}

TEST_CASE("dataset: minibatches for other frameworks are the ones that training takes") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "music");
  folder.write("music/a.mid", tune(3, 300));
  folder.write("music/b.mid", tune(5, 200));
  const auto out = folder / "b.safetensors";
  const std::string common =
      "dataset " + in_quotes(folder / "music") + " --batch 8 --song-group 1 --seed 9 --epoch 2";
  const Result result = run(folder, common + " --batches 3 --out " + in_quotes(out));
  CHECK(result.status == 0);
  CHECK(result.out.empty());
  const Bytes bytes = file_bytes(out);
  uint64_t head_size = 0;
  std::memcpy(&head_size, bytes.data(), 8);
  CHECK(head_size % 8 == 0);
  const Json head =
      Json::parse(bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(head_size));
  CHECK((head["inputs"] ==
         Json{{"dtype", "I32"}, {"shape", {3, 8, 50}}, {"data_offsets", {0, 4800}}}));
  CHECK((head["targets"] ==
         Json{{"dtype", "I32"}, {"shape", {3, 8}}, {"data_offsets", {4800, 4896}}}));
  REQUIRE(bytes.size() == 8 + head_size + 4896);
  std::vector<int32_t> data(4896 / 4);
  std::memcpy(data.data(), bytes.data() + 8 + head_size, 4896);

  const Dataset dataset = load_dataset(folder / "music", {});
  const auto order = epoch_order(dataset, 9, 2, 1, 8);
  for (size_t i = 0; i < 24; ++i) {
    CHECK(std::memcmp(&data[i * 50], dataset.input(order[i]), 200) == 0);
    CHECK(data[24 * 50 + i] == dataset.target(order[i]));
  }
  check_failure(
      run(folder, common + " --batches 1000 --out " + in_quotes(folder / "c.safetensors")), 1,
      "1000 minibatches are wanted, an epoch has ");
  CHECK(!fs::exists(folder / "c.safetensors"));
}

TEST_CASE("help ends in examples") {
  const TemporaryFolder folder;
  for (const char* command : {"info", "roll", "dataset"}) {
    const Result result = run(folder, std::string(command) + " --help");
    CHECK(result.status == 0);
    CHECK(result.out.find("Examples:\n  etude " + std::string(command)) != std::string::npos);
  }
}
