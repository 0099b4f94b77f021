// `etude convert` as a user runs it: every kind to every kind, what is told, what is refused and
// left.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "midi/archive.h"
#include "midi/instrument.h"
#include "midi/score_file.h"
#include "midi/smf_write.h"
#include "tests/made_up_score.h"
#include "tests/program.h"

using namespace etude::tests;
namespace midi = etude::midi;
namespace fs = std::filesystem;

namespace {

// On a grid of 2, but for `late` ticks.
midi::Score piece(int late = 0) {
  MadeUpScore made(480);
  made.name("Piece").tempo(0, 400'000).meter(0, 3, 2).key(0, 1, false);
  made.notes(
      {{0, 240, 67}, {240, 720, 71}, {720, 1440, 74}, {0, 1440, 43}, {1440 + late, 2880, 79}});
  return made.pedal(0, true).pedal(720, false).score();
}

fs::path write_piece(const TemporaryFolder& folder, const std::string& name, int late = 0) {
  midi::write_score(folder / name, piece(late));
  return folder / name;
}

using Notes = std::vector<std::tuple<midi::Quarters, midi::Quarters, int, int>>;
Notes notes_of(const fs::path& path) {
  const midi::Score score = midi::read_score(path);
  Notes notes;
  for (const auto& instrument : midi::instruments(score)) {
    for (const midi::Note& note : instrument.notes)
      notes.emplace_back(midi::quarters(note.start, score.division),
                         midi::quarters(note.end, score.division), note.pitch, note.velocity);
  }
  std::ranges::sort(notes);
  return notes;
}

Result run(const TemporaryFolder& folder, const std::string& arguments) {
  return etude::tests::etude(folder, arguments);
}

std::string convert(const fs::path& in, const fs::path& out, const std::string& more = "") {
  return "convert " + quoted(in) + " " + quoted(out) + " " + more;
}

}  // namespace

TEST_CASE("every kind to every kind, the same notes") {
  const TemporaryFolder folder;
  const Notes notes = notes_of(write_piece(folder, "piece.mid"));
  CHECK(notes.size() == 5);
  for (const std::string from : {"mid", "midi", "musicxml", "xml", "mxl"}) {
    const fs::path in = folder / ("in." + from);
    REQUIRE(run(folder, convert(folder / "piece.mid", in)).status == 0);
    for (const std::string to : {"mid", "MIDI", "musicxml", "xml", "mxl"}) {
      CAPTURE(from);
      CAPTURE(to);
      const fs::path out = folder / ("out." + to);
      const Result result = run(folder, convert(in, out));
      CHECK(result.status == 0);
      CHECK(result.err.empty());
      CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
      CHECK(notes_of(out) == notes);
    }
    const Result roll = run(folder, "roll " + quoted(in) + " --fs 10 --pedal off");
    CHECK(run(folder, convert(in, folder / "roll.txt", "--fs 10 --pedal off")).status == 0);
    CHECK(file_text(folder / "roll.txt") == roll.out);
    CHECK(run(folder, "roll " + quoted(in) + " --svg " + quoted(folder / "a.svg")).status == 0);
    CHECK(run(folder, convert(in, folder / "b.svg", "--title in")).status == 0);
    CHECK(file_text(folder / "a.svg") == file_text(folder / "b.svg"));
  }
}

TEST_CASE("MIDI is written as it stands, but on a grid if one is given") {
  const TemporaryFolder folder;
  const fs::path in = write_piece(folder, "piece.mid", 30);
  CHECK(run(folder, convert(in, folder / "a.mid")).err.empty());
  CHECK(file_text(folder / "a.mid") == file_text(in));
  const Result result = run(folder, convert(in, folder / "b.mid", "--grid 4"));
  CHECK(contains(result.err, "moved by at most 0.0625 of a quarter"));
  CHECK(contains(result.out, "4 columns a quarter note"));
  CHECK(notes_of(folder / "b.mid").back() == Notes::value_type{{3, 1}, {6, 1}, 79, 80});
  CHECK(contains(run(folder, convert(in, folder / "c.mid", "--grid auto")).out, ": 16 columns"));
  CHECK(run(folder, convert(in, folder / "d.txt", "--grid 4")).status == 0);
  CHECK(run(folder, convert(folder / "b.mid", folder / "e.txt")).status == 0);
  CHECK(file_text(folder / "d.txt") == file_text(folder / "e.txt"));
}

TEST_CASE("what the reader mended or passed over is told, the first three of it") {
  const TemporaryFolder folder;
  // One note, and `bad` tempo events that say nothing.
  const auto write = [&](int bad) {
    MadeUpScore made(480);
    made.notes({{0, 480, 60}});
    for (int i = 0; i < bad; ++i) made.tempo(0, 0);
    return folder.write("bad.mid", midi::write_smf(made.score()));
  };
  for (const int bad : {0, 1, 3, 4, 20}) {
    CAPTURE(bad);
    const fs::path in = write(bad);
    const std::string name = "etude: " + in.string() + ": ";
    for (const std::string& command :
         {convert(in, folder / "a.mid"), convert(in, folder / "a.musicxml"),
          convert(in, folder / "a.txt"), "roll " + quoted(in)}) {
      const Result result = run(folder, command);
      CHECK(result.status == 0);
      CHECK(std::count(result.err.begin(), result.err.end(), '\n') == std::min(bad, 4));
      if (bad > 0) CHECK(result.err.starts_with(name + "byte "));
      if (bad > 0) CHECK(contains(result.err, "tempo event without a usable tempo ignored"));
      if (bad > 3)
        CHECK(result.err.ends_with(name + "and " + std::to_string(bad - 3) +
                                   " more (`etude info` lists them)\n"));
    }
  }
  const auto whole = file_bytes(write_piece(folder, "piece.mid"));
  const fs::path cut = folder.write("cut.mid", Bytes(whole.begin(), whole.end() - 6));
  const Result result = run(folder, convert(cut, folder / "b.mid", "--recover"));
  CHECK(result.status == 0);
  CHECK(result.err.starts_with("etude: " + cut.string() + ": byte "));
  CHECK(contains(result.err, ": damage: "));
  const fs::path notation = folder.write(
      "odd.xml",
      "<score-partwise><part-list><score-part id='P'/></part-list><part id='P'><measure>\n"
      "<attributes><divisions>1</divisions><key><fifths>9</fifths></key></attributes>"
      "<note><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration></note>"
      "</measure></part></score-partwise>");
  CHECK(contains(run(folder, "roll " + quoted(notation)).err, "odd.xml: line 2: a key signature"));
}

TEST_CASE("one of a thing is not several") {
  const TemporaryFolder folder;
  const fs::path in =
      folder.write("one.mid", midi::write_smf(MadeUpScore(1).notes({{0, 1, 60}}).score()));
  CHECK(contains(run(folder, convert(in, folder / "a.mid")).out, ": 1 note\n"));
  CHECK(contains(run(folder, convert(in, folder / "a.mxl")).out,
                 ": 1 column a quarter note, 1 bar\n"));
  CHECK(contains(run(folder, convert(in, folder / "a.txt", "--fs 2")).out, ": 1 column\n"));
  const Result many = run(folder, "roll --fs 1e300 " + quoted(in));
  check_failure(many, 1, "columns, beyond the limit of ");
  CHECK(many.err.size() < 300);
}

TEST_CASE("title, pedal, and the same bytes again") {
  const TemporaryFolder folder;
  const fs::path in = write_piece(folder, "piece.mid");
  REQUIRE(run(folder, convert(in, folder / "a.musicxml", "--title 'A & B'")).status == 0);
  const std::string text = file_text(folder / "a.musicxml");
  CHECK(contains(text, "<work-title>A &amp; B</work-title>"));
  CHECK(contains(text, "<pedal type=\"start\""));
  REQUIRE(run(folder, convert(in, folder / "b.musicxml", "--title 'A & B'")).status == 0);
  CHECK(file_text(folder / "b.musicxml") == text);
  REQUIRE(run(folder, convert(in, folder / "c.musicxml", "--pedal extend")).status == 0);
  CHECK_FALSE(contains(file_text(folder / "c.musicxml"), "<pedal"));
  CHECK(notes_of(folder / "c.musicxml") != notes_of(in));
  REQUIRE(run(folder, convert(in, folder / "d.mxl", "--title 'A & B'")).status == 0);
  const auto bytes = midi::open_archive(folder / "d.mxl").read("score.musicxml", text.size());
  CHECK(std::string(bytes.begin(), bytes.end()) == text);
}

TEST_CASE("a score is known by its content") {
  const TemporaryFolder folder;
  write_piece(folder, "piece.mxl");
  fs::rename(folder / "piece.mxl", folder / "piece.mid");
  CHECK(run(folder, convert(folder / "piece.mid", folder / "a.mid")).status == 0);
  CHECK(notes_of(folder / "a.mid").size() == 5);
  for (const char* command : {"info ", "roll "}) {
    CHECK(run(folder, command + quoted(folder / "piece.mid")).status == 0);
  }
  // A folder's too, but for .xml.
  fs::create_directory(folder / "pieces");
  for (const char* name : {"pieces/a.mid", "pieces/b.musicxml", "pieces/c.mxl", "pieces/d.xml"})
    write_piece(folder, name);
  const Result result = run(folder, "dataset " + quoted(folder / "pieces") + " --json");
  CHECK(result.status == 0);
  CHECK(contains(result.out, "\"songs\": 3"));
}

TEST_CASE("what is refused, and that nothing is left") {
  const TemporaryFolder folder;
  const fs::path in = write_piece(folder, "piece.mid");
  const auto usage = [&](const std::string& arguments, const std::string& part) {
    check_failure(run(folder, arguments), 2, part);
  };
  usage("convert " + quoted(in), "OUT");
  usage(convert(in, folder / "a.pdf"), ".musicxml");
  usage(convert(in, folder / "a"), ".musicxml");
  usage(convert(in, folder / "a.mid", "--grid 5"), "--grid");
  usage(convert(in, folder / "a.musicxml", "--fs 10"), "--fs");
  usage(convert(in, folder / "a.mid", "--title x"), "--title");
  usage(convert(in, folder / "a.mid", "--pedal off"), "--pedal");
  usage(convert(in, folder / "a.txt", "--title x"), "--title");
  usage(convert(in, folder / "a.mid", "--strict --recover"), "--strict");
  const auto error = [&](const fs::path& from, const fs::path& to, const std::string& part) {
    check_failure(run(folder, convert(from, to)), 1, part);
  };
  const auto text = folder.write("text.mid", "no music");
  error(text, folder / "a.mxl", "text.mid: byte 0: not a MIDI file");
  error(folder.write("cut.mid", "<score-partwise>"), folder / "a.mid", "cut.mid: line 1:");
  error(folder.write("cut.mxl", "PK\3\4"), folder / "a.mid", "cut.mxl");
  error(folder.write("empty.mid", ""), folder / "a.mid", "empty");
  error(folder / "none.mid", folder / "a.mid", "none.mid");
  error(in, folder / "none" / "a.musicxml", "a.musicxml");
  error(in, "/dev/null/a.mxl", "a.mxl");
  MadeUpScore bars(1);
  bars.meter(0, 1, 6).notes({{9'999'990, 9'999'999, 60}});
  folder.write("bars.mid", midi::write_smf(bars.score()));
  error(folder / "bars.mid", folder / "a.musicxml", "bars");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"bars.mid", "cut.mid", "cut.mxl",
                                                            "empty.mid", "piece.mid", "text.mid"});
}

TEST_CASE("a piece that was composed is written as the name says") {
  const TemporaryFolder folder;
  const fs::path out = folder / "corpus";
  write_corpus(folder);
  REQUIRE(run(folder, "train --model rnn --data " + quoted(folder / "pieces") +
                          " --max-steps 2 --batch 8 --out " + quoted(out))
              .status == 0);
  const std::string generate =
      "generate --checkpoint " + quoted(out / "model.safetensors") + " --seconds 8 --out ";
  for (const char* name : {"a.mid", "a.musicxml", "a.mxl"})
    REQUIRE(run(folder, generate + quoted(folder / name)).status == 0);
  CHECK(notes_of(folder / "a.musicxml") == notes_of(folder / "a.mid"));
  CHECK(notes_of(folder / "a.mxl") == notes_of(folder / "a.mid"));
}
