// Notation: bars, voices, note values, ties, triplets; what is written is read back by a reader of
// this test's own (notation_reader.h) and by the library's.

#include <doctest/doctest.h>
#include <tinyxml2.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "midi/bars.h"
#include "midi/compose.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/musicxml.h"
#include "midi/musicxml_write.h"
#include "midi/quantise.h"
#include "midi/score_file.h"
#include "midi/voices.h"
#include "tests/made_up_score.h"
#include "tests/notation_reader.h"
#include "tests/places.h"
#include "tests/shared_data.h"

using namespace etude::midi;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

ReadNotation read_back(const GridScore& music) { return read_notation(write_musicxml(music)); }

ReadNotation notation(MadeUpScore& made, const GridOptions& options = {}) {
  return read_back(quantise(made.score(), options));
}

// What is written must be what was on the grid.
std::vector<ReadNote> expected(const GridScore& music) {
  std::vector<ReadNote> notes;
  for (size_t p = 0; p < music.parts.size(); ++p) {
    const auto staves = staves_of(music.parts[p]);
    for (size_t s = 0; s < staves.size(); ++s) {
      for (const auto& voice : staves[s].voices) {
        for (const Note& note : voice)
          notes.push_back({static_cast<int>(p), static_cast<int>(s) + 1, note.start.count,
                           note.end.count, note.pitch, note.velocity});
      }
    }
  }
  std::ranges::sort(notes);
  return notes;
}

size_t notes_in(const GridScore& music) {
  size_t count = 0;
  for (const GridPart& part : music.parts) {
    for (const auto& hand : part.hands) count += hand.size();
  }
  return count;
}

// Pitch, velocity, and times in quarters, of all parts.
using Played = std::tuple<Quarters, Quarters, int, int>;
std::vector<Played> played(const Score& score) {
  std::vector<Played> notes;
  for (const Instrument& instrument : instruments(score)) {
    for (const Note& note : instrument.notes)
      notes.emplace_back(quarters(note.start, score.division), quarters(note.end, score.division),
                         note.pitch, note.velocity);
  }
  std::ranges::sort(notes);
  return notes;
}

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Through the library's own reader.
void check_round_trip(const GridScore& music) {
  const Score again = parse_musicxml(bytes_of(write_musicxml(music)), "again");
  CHECK(played(again) == played(to_score(music)));
  CHECK(again.found.empty());
}

using Symbols = std::vector<std::string>;

}  // namespace

TEST_CASE("any music on any grid, in any meter") {
  const std::pair<int, int> meters[] = {{4, 2}, {3, 2}, {6, 3},  {5, 3}, {7, 4},
                                        {2, 1}, {5, 5}, {27, 5}, {1, 6}};
  std::mt19937_64 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (const int grid : kAutomaticGrids) {
    for (const auto& [beats, log_of_type] : meters) {
      CAPTURE(grid);
      CAPTURE(beats);
      CAPTURE(log_of_type);
      MadeUpScore made(grid);
      made.meter(0, beats, log_of_type).meter(below(10 * grid), 3, 3);
      for (int i = 0; i < 120; ++i) {
        const int start = below(16 * grid);
        made.notes({{start, start + 1 + below(i % 3 == 0 ? 4 * grid : grid), 30 + below(60),
                     1 + below(127)}});
      }
      const GridScore music = quantise(made.score(), {.grid = grid});
      CHECK(music.moved == Quarters());
      CHECK(read_back(music).notes == expected(music));
      CHECK(expected(music).size() == notes_in(music));
      check_round_trip(music);
    }
  }
}

TEST_CASE("note values") {
  const auto symbols = [](int grid, const std::vector<MadeUpNote>& notes, size_t voice = 0) {
    MadeUpScore made(grid);
    made.notes(notes);
    return notation(made, {.grid = grid}).symbols.at(voice);
  };
  CHECK(symbols(4, {{0, 4, 60}, {4, 7, 60}, {7, 8, 60}, {8, 16, 60}}) ==
        Symbols{"quarter", "eighth.", "16th", "half"});
  CHECK(symbols(1, {{0, 3, 60}, {3, 4, 60}}) == Symbols{"half.", "quarter"});
  // Five sixteenths; across a beat; a half on the second eighth.
  CHECK(symbols(4, {{0, 5, 60}, {5, 16, 60}}) == Symbols{"quarter", "16th", "eighth.", "half"});
  CHECK(symbols(4, {{2, 10, 60}, {10, 16, 60}}) ==
        Symbols{"r:eighth", "quarter.", "eighth", "quarter."});
  CHECK(symbols(4, {{1, 2, 60}, {15, 16, 60}}) == Symbols{"r:16th", "16th", "r:eighth", "r:quarter",
                                                          "r:quarter", "r:eighth", "r:16th",
                                                          "16th"});
  CHECK(symbols(16, {{0, 1, 60}, {1, 4, 60}, {4, 64, 60}}) ==
        Symbols{"64th", "32nd.", "eighth.", "half."});
  CHECK(symbols(1, {{4, 8, 60}}) == Symbols{"r:bar", "whole"});
}

TEST_CASE("triplets") {
  const auto symbols = [](int grid, const std::vector<MadeUpNote>& notes) {
    MadeUpScore made(grid);
    made.notes(notes);
    return notation(made, {.grid = grid}).symbols.at(0);
  };
  CHECK(symbols(3, {{0, 1, 60}, {1, 2, 62}, {2, 3, 64}, {3, 12, 65}}) ==
        Symbols{"eighth/3", "eighth/3", "eighth/3", "half."});
  CHECK(symbols(3, {{0, 2, 60}, {2, 3, 62}, {3, 12, 64}}) ==
        Symbols{"quarter/3", "eighth/3", "half."});
  // A rest inside; a note tied into the next beat.
  CHECK(symbols(3, {{1, 2, 60}, {5, 12, 62}}) ==
        Symbols{"r:eighth/3", "eighth/3", "r:eighth/3", "r:quarter/3", "eighth/3", "half"});
  // Half a beat.
  CHECK(symbols(6, {{0, 3, 60}, {3, 4, 60}, {4, 5, 60}, {5, 6, 60}, {6, 24, 60}}) ==
        Symbols{"eighth", "16th/3", "16th/3", "16th/3", "half."});
  // A sixteenth and a triplet within one beat: in 36ths nothing else has both.
  CHECK(symbols(12, {{0, 3, 60}, {3, 4, 60}, {4, 12, 60}, {12, 48, 60}}) ==
        Symbols{"16th./3", "32nd/3", "quarter/3", "half."});
}

TEST_CASE("a note over many bars is tied") {
  MadeUpScore made(4);
  made.meter(0, 3, 2).notes({{1, 60, 60}, {2, 30, 30}});
  const ReadNotation read = notation(made);
  REQUIRE(read.notes.size() == 2);
  CHECK(read.notes[0] == ReadNote{0, 1, 12, 720, 60, 80});
  CHECK(read.bars.size() == 6);
  CHECK(read.symbols[0] ==
        Symbols{"r:16th", "eighth.", "half", "half.", "half.", "half.", "half."});
}

TEST_CASE("chords share a voice, overlapping lengths do not") {
  MadeUpScore made(1);
  made.notes({{0, 4, 72}, {0, 4, 76}, {0, 2, 64}, {2, 4, 65}});
  const ReadNotation read = notation(made);
  CHECK(read.symbols[0] == Symbols{"whole"});
  CHECK(read.symbols[1] == Symbols{"half", "half"});
  CHECK(read.notes.size() == 4);
}

TEST_CASE("beyond four voices the last is cut and tied") {
  MadeUpScore made(8);
  for (int i = 0; i < 12; ++i) made.notes({{i, 32 - i % 5, 60 + i}});
  const GridScore music = quantise(made.score(), {.grid = 8});
  const ReadNotation read = read_back(music);
  CHECK(read.notes == expected(music));
  CHECK(read.notes.size() == 12);
  CHECK(read.voices == 5);  // the lower staff's first, silent
  check_round_trip(music);
}

TEST_CASE("a change of meter within a bar cuts it short, on a sixteenth") {
  MadeUpScore made(12);
  made.meter(0, 4, 2).meter(29, 3, 2).notes({{0, 90, 60}});
  const ReadNotation read = notation(made, {.grid = 12});
  CHECK(read.bars == std::vector<int64_t>{0, 120, 264, 408});  // 29 / 12 is nearest to 2.5
  CHECK(read.notes[0].end == 360);
}

TEST_CASE("tempi are where they were and what they were") {
  MadeUpScore made(480);
  made.notes({{0, 9600, 60}})
      .tempo(0, 869'565)
      .tempo(700, 400'001)
      .tempo(2000, 1)
      .tempo(9600, 500'000);
  const auto music = quantise(made.score());
  const ReadNotation read = read_back(music);
  REQUIRE(read.tempi.size() == 4);
  CHECK(read.tempi[1].first == 48);
  CHECK(std::lround(6e7 / read.tempi[1].second) == 400'001);
  CHECK(read.tempi[2] == std::pair<int64_t, double>{192, 6e7});
  CHECK(read.tempi[3].first == 960);
  const Score again = parse_musicxml(bytes_of(write_musicxml(music)), "again");
  std::vector<int> tempi;
  for (const Event& event : again.tracks[0].events)
    if (const int tempo = tempo_of(again, event)) tempi.push_back(tempo);
  CHECK(tempi == std::vector{869'565, 400'001, 1, 500'000});
  // The slowest that MIDI has.
  MadeUpScore slow(1);
  slow.notes({{0, 1, 60}}).tempo(0, 0xFFFFFF);
  const Score slowest = parse_musicxml(bytes_of(write_musicxml(quantise(slow.score()))), "slowest");
  CHECK(slowest.found.empty());
  CHECK(std::ranges::any_of(slowest.tracks[0].events, [&](const Event& event) {
    return tempo_of(slowest, event) == 0xFFFFFF;
  }));
}

TEST_CASE("every velocity comes back") {
  MadeUpScore made(1);
  for (int v = 1; v < 128; ++v) made.notes({{v, v + 1, 60, v}});
  const auto read = notation(made);
  REQUIRE(read.notes.size() == 127);
  for (int v = 1; v < 128; ++v) CHECK(read.notes[static_cast<size_t>(v - 1)].velocity == v);
}

TEST_CASE("accidentals are written where they change something") {
  const auto accidentals = [](const std::vector<int>& pitches, int fifths) {
    MadeUpScore made(1);
    made.key(0, fifths, false);
    for (int i = 0; i < static_cast<int>(pitches.size()); ++i)
      made.notes({{i, i + 1, pitches[static_cast<size_t>(i)]}});
    return notation(made).accidentals;
  };
  CHECK(accidentals({60, 62, 64, 65}, 0) == 0);
  CHECK(accidentals({66, 66, 65, 66}, 0) == 3);      // sharp, the same, natural, sharp
  CHECK(accidentals({66, 78, 66, 60, 66}, 0) == 3);  // another octave; the next bar
  CHECK(accidentals({66, 67, 66, 67}, 1) == 0);
  CHECK(accidentals({65, 66, 67, 67}, 1) == 2);
}

TEST_CASE("pedal marks") {
  MadeUpScore made(4);
  made.notes({{0, 32, 60}})
      .pedal(1, true)
      .pedal(6, false)
      .pedal(6, true)
      .pedal(20, false)
      .pedal(24, true);
  using Marks = std::vector<std::pair<int64_t, std::string>>;
  CHECK(notation(made, {.grid = 4}).pedal ==
        Marks{{12, "start"}, {72, "change"}, {240, "stop"}, {288, "start"}, {384, "stop"}});
  CHECK(notation(made, {.grid = 4, .pedal = Pedal::extend}).pedal.empty());
}

TEST_CASE("several instruments, drums among them") {
  MadeUpScore made(2);
  made.channel(0, EventKind::program, 0, 73, 0, 0)
      .notes({{0, 3, 80, 80, 0, 0}, {3, 4, 81, 80, 0, 0}});
  made.channel(0, EventKind::program, 1, 32, 0, 1).notes({{0, 8, 40, 80, 1, 1}});
  made.notes(
      {{0, 1, 36, 80, 2, 9}, {0, 1, 42, 80, 2, 9}, {1, 2, 42, 80, 2, 9}, {1, 3, 99, 80, 2, 9}});
  const GridScore music = quantise(made.score());
  const std::string text = write_musicxml(music);
  CHECK(read_notation(text).notes == expected(music));
  CHECK(text.find("<midi-unpitched>37<") != std::string::npos);
  CHECK(text.find("<sign>percussion<") != std::string::npos);
  check_round_trip(music);
}

TEST_CASE("every pitch that MIDI has, in any key, in one part") {
  // A piano's, divided at middle C; a flute's, whose one staff would not do; and two hands of such.
  for (const int program : {0, 73}) {
    for (const int tracks : {1, 2}) {
      for (const int fifths : {-7, 0, 7}) {
        CAPTURE(program);
        CAPTURE(tracks);
        CAPTURE(fifths);
        MadeUpScore made(1);
        for (int track = 0; track < tracks; ++track) {
          made.channel(0, EventKind::program, 0, program, 0, track).key(0, fifths, true, track);
          for (const int pitch : {0, 60, 127})
            made.notes({{0, 1, pitch, 80 + track, track}, {3, 6, pitch, 80 + track, track}});
          for (int i = 0; i < 128; ++i) made.notes({{10 + i, 11 + i, i, 90 + track, track}});
        }
        const GridScore music = quantise(made.score());
        REQUIRE(music.parts.size() == 1);
        CHECK(notes_in(music) == 134 * static_cast<size_t>(tracks));
        CHECK(read_back(music).notes == expected(music));
        check_round_trip(music);
      }
    }
  }
}

TEST_CASE("an octave higher is what needs it, and no more") {
  const auto transposed = [](const std::vector<int>& pitches, int program) {
    MadeUpScore made(1);
    made.channel(0, EventKind::program, 0, program, 0);
    for (const int pitch : pitches) made.notes({{0, 1, pitch}});
    const std::string text = write_musicxml(quantise(made.score()));
    const size_t found = text.find("<transpose");
    return found == std::string::npos ? "" : text.substr(found, text.find('>', found) - found);
  };
  CHECK(transposed({12, 60, 127}, 73).empty());
  CHECK(transposed({11, 60, 118}, 73) == "<transpose");
  CHECK(transposed({11, 60, 119}, 73) == "<transpose number=\"2\"");
  CHECK(transposed({11, 60}, 0) == "<transpose number=\"2\"");
}

TEST_CASE("nothing is a bar of rest") {
  MadeUpScore made(1);
  made.tempo(0, 500'000);
  const ReadNotation read = notation(made);
  CHECK(read.notes.empty());
  CHECK(read.bars == std::vector<int64_t>{0, 192});
  CHECK(read.symbols[0] == Symbols{"r:bar"});
  CHECK(read_back({}).notes.empty());
}

TEST_CASE("names are text, whatever they have") {
  MadeUpScore made(1);
  made.notes({{0, 1, 60}}).name("a<b>&\"c'\x02 \xFF]]>");
  const GridScore music = quantise(made.score());
  tinyxml2::XMLDocument document;
  REQUIRE(document.Parse(write_musicxml(music).c_str()) == tinyxml2::XML_SUCCESS);
  const auto* work = document.FirstChildElement("score-partwise")->FirstChildElement("work");
  CHECK(std::string(work->FirstChildElement("work-title")->GetText()) == "a<b>&\"c' \xC3\xBF]]>");
}

TEST_CASE("scores that mean harm are refused or written, soon") {
  SUBCASE("bars without end") {
    MadeUpScore made(1);
    made.meter(0, 1, 6).notes({{9'999'990, 9'999'999, 60}});
    CHECK_THROWS_AS(bars_of(quantise(made.score())), LimitError);
    CHECK_THROWS_AS(write_musicxml(quantise(made.score())), LimitError);
  }
  SUBCASE("ticks without end") {
    MadeUpScore made(1);
    made.notes({{0, 10'000'000, 60}});
    CHECK_THROWS_AS(quantise(made.score()), LimitError);
  }
  SUBCASE("more text than can be read") {
    MadeUpScore made(1);
    for (int pitch = 12; pitch < 128; ++pitch) made.notes({{0, 100'000, pitch}});
    CHECK_THROWS_AS(write_musicxml(quantise(made.score())), LimitError);
  }
  SUBCASE("very many notes in one bar") {
    MadeUpScore made(48);
    std::vector<MadeUpNote> notes;
    for (int i = 0; i < 48'000; ++i) notes.push_back({i, i + 1 + i % 7, 12 + i % 116});
    made.meter(0, 255, 0).notes(notes);
    const GridScore music = quantise(made.score());
    CHECK(read_back(music).notes == expected(music));
  }
}

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSlow = true;
#else
constexpr bool kSlow = false;
#endif

// Every one through the library's reader; every `each`th through the checking one, which takes
// longer, and with sanitizers no other.
void check_folder(const fs::path& folder, int grid, size_t least, size_t each) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".mid") files.push_back(entry.path());
  std::ranges::sort(files);
  CHECK(files.size() >= least);
  for (size_t i = 0; i < files.size(); ++i) {
    if (kSlow && i % each != 0) continue;
    CAPTURE(files[i].string());
    const GridScore music = quantise(read_score(files[i]), {.grid = grid});
    CHECK(expected(music).size() == notes_in(music));
    if (i % each == 0) CHECK(read_back(music).notes == expected(music));
    check_round_trip(music);
  }
}

}  // namespace

TEST_CASE("the demo's pieces: written, read, the same") {
  const fs::path folder = fs::path(source_folder()) / "data" / "demo" / "midi";
  for (const auto& entry : fs::directory_iterator(folder)) {
    const Score score = read_score(entry.path());
    const GridScore music = quantise(score);
    CAPTURE(entry.path().string());
    CHECK(music.moved == Quarters());
    // Nothing was moved or merged: what comes back is what the file has.
    if (music.merged == 0) CHECK(played(to_score(music)) == played(score));
  }
  check_folder(folder, 0, 18, 1);
}

TEST_CASE("performances of MAESTRO: written, read, the same") {
  ETUDE_NEEDS_SHARED("maestro100");
  check_folder(shared("maestro100"), 12, 100, 10);
}

TEST_CASE("scores: on the grid, written, read and on the grid again, the same") {
  ETUDE_NEEDS_SHARED("scores");
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(shared("scores"))) {
    if (entry.path().extension() != ".musicxml") continue;
    CAPTURE(entry.path().string());
    ++files;
    const GridScore music = quantise(read_score(entry.path()));
    const Score score = parse_musicxml(bytes_of(write_musicxml(music)), "again");
    const GridScore again = quantise(score, {.grid = music.grid});
    CHECK(again.moved == Quarters());
    CHECK(played(to_score(again)) == played(to_score(music)));
    CHECK(again.title == music.title);
    const auto bar = [](const Bar& b) { return std::tuple(b.start, b.end, b.meter.beats); };
    const auto bars = bars_of(music), bars_again = bars_of(again);
    CHECK(std::ranges::equal(bars, bars_again, {}, bar, bar));
    const auto tempo = [](const TempoChange& t) { return std::tuple(t.tick, t.tempo); };
    CHECK(std::ranges::equal(music.tempi, again.tempi, {}, tempo, tempo));
    REQUIRE(again.parts.size() == music.parts.size());
    for (size_t i = 0; i < music.parts.size(); ++i) {
      CHECK(again.parts[i].program == music.parts[i].program);
      CHECK(again.parts[i].keys[0].key == music.parts[i].keys[0].key);
    }
  }
  CHECK(files > 0);
}

TEST_CASE("a composed piece opens on its own grid") {
  std::mt19937_64 random(3);
  std::vector<PitchSet> columns(200);
  for (PitchSet& column : columns) {
    for (uint64_t n = random() % 6; n > 0; --n) column.set(static_cast<int>(36 + random() % 48));
  }
  for (const double fs : {5.0, 8.0, 10.0}) {
    const GridScore music = quantise(compose(columns, {.fs = fs}));
    CHECK(music.moved == Quarters());
    CHECK(music.grid <= 4);
    CHECK(read_back(music).notes == expected(music));
    check_round_trip(music);
  }
}
