// Notes laid on a grid, parts, hands, keys.

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "midi/compose.h"
#include "midi/error.h"
#include "midi/key.h"
#include "midi/quantise.h"
#include "midi/score_file.h"
#include "midi/smf_write.h"
#include "midi/text.h"
#include "midi/voices.h"
#include "tests/made_up_score.h"
#include "tests/midi_files.h"

using namespace etude::midi;
using namespace etude::tests;

namespace {

// "start-end:pitch" of every note of one hand, in 48ths of a quarter.
std::vector<std::string> written(const std::vector<Note>& notes) {
  std::vector<std::string> lines;
  for (const Note& note : notes)
    lines.push_back(std::to_string(note.start.count) + "-" + std::to_string(note.end.count) + ":" +
                    std::to_string(note.pitch));
  return lines;
}

using Lines = std::vector<std::string>;

std::string spelled(int pitch, Key key) {
  const Spelling s = spell(pitch, key);
  const std::string sign = s.alter > 0 ? "#" : "b";
  std::string out(1, s.step);
  for (int i = 0; i < std::abs(s.alter); ++i) out += sign;
  return out + std::to_string(s.octave);
}

}  // namespace

TEST_CASE("the automatic grid is the first that has every note") {
  for (const int grid : kAutomaticGrids) {
    CAPTURE(grid);
    const int column = 1440 / grid;
    const Score score =
        MadeUpScore(1440).notes({{0, 1440, 60}, {1440 + column, 1440 + 2 * column, 62}}).score();
    const GridScore music = quantise(score);
    CHECK(music.grid == grid);
    CHECK(music.moved == Quarters());
    CHECK(music.merged == 0);
  }
}

TEST_CASE("a few notes off the grid, or ends a tick early, do not spoil it") {
  // Triplets of eighths, each released a tick early, and one grace note.
  std::vector<MadeUpNote> notes = {{470, 479, 72}};
  for (int i = 0; i < 12; ++i) notes.push_back({160 * i, 160 * i + 159, 60 + i});
  CHECK(quantise(MadeUpScore(480).notes(notes).score()).grid == 12);
  // With a second one in seven it is a performance.
  notes.push_back({1030, 1060, 74});
  CHECK(quantise(MadeUpScore(480).notes(notes).score()).grid == 4);
}

TEST_CASE("what is on no grid goes to sixteenths, or where it is told") {
  const Score score = MadeUpScore(480).notes({{50, 200, 60}, {309, 310, 62}}).score();
  const GridScore sixteenths = quantise(score);
  CHECK(sixteenths.grid == 4);
  // 50 is nearer to 0, 200 to 240 (60 is half a column: later), 309 to 360; 310 would be 360 too.
  CHECK(written(sixteenths.parts[0].hands[0]) == Lines{"0-24:60", "36-48:62"});
  CHECK(sixteenths.moved == Quarters(480 - 310, 480));
  const GridScore thirds = quantise(score, {.grid = 3});
  CHECK(thirds.grid == 3);
  CHECK(written(thirds.parts[0].hands[0]) == Lines{"0-16:60", "32-48:62"});
  CHECK(written(quantise(MadeUpScore(480).notes({{60, 540, 60}}).score(), {.grid = 4})
                    .parts[0]
                    .hands[0]) == Lines{"12-60:60"});
  CHECK_THROWS_AS(quantise(score, {.grid = 5}), std::invalid_argument);
}

TEST_CASE("one pitch sounds once at a time") {
  // Three tracks of one channel: one part, whose hands are not known.
  const GridScore music = quantise(MadeUpScore(4)
                                       .notes({{0, 8, 60, 50, 0}, {0, 4, 60, 90, 1}})
                                       .notes({{0, 12, 64, 50, 0}, {4, 8, 64, 90, 1}})
                                       .notes({{0, 4, 67, 50, 0}, {4, 8, 67, 90, 1}})
                                       .notes({{0, 4, 20, 50, 2}})
                                       .score());
  REQUIRE(music.parts.size() == 1);
  REQUIRE(music.parts[0].hands.size() == 1);
  const auto& notes = music.parts[0].hands[0];
  CHECK(music.merged == 2);
  CHECK(written(notes) ==
        Lines{"0-48:67", "0-48:64", "0-96:60", "0-48:20", "48-96:67", "48-144:64"});
  CHECK(notes[2].velocity == 90);
}

TEST_CASE("SMPTE time is seconds at 120 quarters a minute") {
  Score score = MadeUpScore().notes({{0, 25 * 40, 60}, {25 * 40, 25 * 60, 62}}).score();
  score.division = {.ticks_per_quarter = 0, .frame_code = 25, .ticks_per_frame = 40};
  const GridScore music = quantise(score);  // a second, and half of one
  CHECK(music.grid == 1);
  CHECK(written(music.parts[0].hands[0]) == Lines{"0-96:60", "96-144:62"});
  score.division = {.ticks_per_quarter = 0, .frame_code = 29, .ticks_per_frame = 100};
  // 1000 ticks of 30000 / 1001 * 100 a second are 0.66733... quarters.
  CHECK(written(quantise(score, {.grid = 12}).parts[0].hands[0]) == Lines{"0-32:60", "32-48:62"});
}

TEST_CASE("parts and hands") {
  SUBCASE("two tracks of one channel are two hands, the higher above") {
    const auto music =
        quantise(MadeUpScore(1).notes({{0, 1, 50, 80, 0, 3}, {0, 1, 70, 80, 1, 3}}).score());
    REQUIRE(music.parts.size() == 1);
    CHECK(written(music.parts[0].hands[0]) == Lines{"0-48:70"});
    CHECK(written(music.parts[0].hands[1]) == Lines{"0-48:50"});
  }
  SUBCASE("so are two tracks with a piano each") {
    const auto music =
        quantise(MadeUpScore(1).notes({{0, 1, 50, 80, 0, 0}, {0, 1, 70, 80, 1, 1}}).score());
    CHECK(music.parts.size() == 1);
    CHECK(music.parts[0].hands.size() == 2);
  }
  SUBCASE("other instruments are parts, each on a channel of its own") {
    auto made = MadeUpScore(1);
    made.channel(0, EventKind::program, 0, 40, 0, 0).notes({{0, 1, 76, 80, 0, 0}});
    made.channel(0, EventKind::program, 0, 42, 0, 1).notes({{0, 1, 40, 80, 1, 0}});
    made.notes({{0, 1, 36, 80, 2, 9}}).name("Violin", 0).name("Cello", 1);
    const auto music = quantise(made.score());
    REQUIRE(music.parts.size() == 3);
    CHECK(music.parts[0].name == "Violin");
    CHECK(music.parts[1].name == "Cello");
    CHECK(music.parts[2].name == "Drums");
    CHECK(music.title.empty());
    CHECK(music.parts[0].channel == 0);
    CHECK(music.parts[1].channel == 1);
    CHECK(music.parts[2].channel == 9);
    CHECK_FALSE(music.parts[0].two_staves);
    CHECK(staves_of(music.parts[0]).size() == 1);
    CHECK(staves_of(music.parts[1])[0].bass_clef);
  }
  SUBCASE("the one track's name is the piece's") {
    const auto music =
        quantise(MadeUpScore(1).notes({{0, 1, 60}}).name("F\xFCr  Elise\x01\n").score());
    CHECK(music.title == "F\xC3\xBCr Elise");
    CHECK(music.parts[0].name == "Piano");
    CHECK(quantise(MadeUpScore(1).notes({{0, 1, 60}}).name("x").score(), {.title = "y"}).title ==
          "y");
  }
}

TEST_CASE("a line that crosses middle C stays on its staff") {
  MadeUpScore made(1);
  // The left hand rests on C3, the right goes down from G5 to A3 and up again.
  made.notes({{0, 40, 48}});
  const int line[] = {79, 72, 67, 64, 62, 60, 59, 57, 59, 60, 64};
  for (int i = 0; i < 11; ++i) made.notes({{i, i + 1, line[i]}});
  const auto staves = staves_of(quantise(made.score()).parts[0]);
  REQUIRE(staves.size() == 2);
  CHECK(staves[0].voices.size() == 1);
  CHECK(staves[0].voices[0].size() == 11);
  CHECK(written(staves[1].voices[0]) == Lines{"0-1920:48"});
  // Alone, at middle C.
  const auto alone =
      staves_of(quantise(MadeUpScore(1).notes({{0, 1, 60}, {9, 10, 59}}).score()).parts[0]);
  CHECK(written(alone[0].voices[0]) == Lines{"0-48:60"});
  CHECK(written(alone[1].voices[0]) == Lines{"432-480:59"});
}

TEST_CASE("tempi and time signatures; what cannot be is passed over") {
  auto made = MadeUpScore(480).notes({{0, 4800, 60}});
  made.tempo(0, 500'000).tempo(480, 500'000).tempo(500, 400'000).tempo(510, 300'000).tempo(900, 0);
  made.meter(0, 3, 2).meter(1440, 0, 2).meter(1440, 4, 7).meter(1440, 6, 3);
  made.meta(10, meta::set_tempo, {1})
      .meta(10, meta::time_signature, {3})
      .meta(0, meta::key_signature, {9, 0});
  const auto music = quantise(made.score());
  REQUIRE(music.tempi.size() == 2);
  CHECK(music.tempi[0].tempo == 500'000);
  CHECK(music.tempi[1].tick == Ticks{48});
  CHECK(music.tempi[1].tempo == 300'000);
  REQUIRE(music.meters.size() == 2);
  CHECK(music.meters[0].meter == Meter{3, 4});
  CHECK(music.meters[1].meter == Meter{6, 8});
  CHECK(music.meters[1].tick == Ticks{144});
}

TEST_CASE("the pieces of a file of format 2 follow one another") {
  auto made = MadeUpScore(480);
  made.tempo(0, 400'000).meter(0, 3, 2).notes({{0, 1920, 60, 80, 0}});  // four quarters: two bars
  made.notes({{0, 480, 72, 80, 1}, {480, 960, 60, 80, 1}});
  // Seven eighths and no sixteenth more.
  made.notes({{0, 1680, 62, 80, 3}}).meta(0, meta::time_signature, {7, 3, 24, 8}, 3);
  made.notes({{240, 480, 64, 80, 4}}).meta(0, meta::set_tempo, {3, 0, 0}, 4);
  Score score = made.score();
  score.format = 2;
  const GridScore music = quantise(score);
  REQUIRE(music.parts.size() == 1);
  REQUIRE(music.parts[0].hands.size() == 1);
  CHECK(written(music.parts[0].hands[0]) ==
        Lines{"0-192:60", "288-336:72", "336-384:60", "480-648:62", "672-696:64"});
  REQUIRE(music.meters.size() == 4);
  CHECK(music.meters[0].meter == Meter{3, 4});
  CHECK(music.meters[1].meter == Meter{4, 4});
  CHECK(music.meters[1].tick == Ticks{288});
  CHECK(music.meters[2].meter == Meter{7, 8});
  CHECK(music.meters[2].tick == Ticks{480});
  CHECK(music.meters[3].tick == Ticks{648});
  REQUIRE(music.tempi.size() == 3);
  CHECK(music.tempi[1].tick == Ticks{288});
  CHECK(music.tempi[1].tempo == 500'000);
  CHECK(music.tempi[2].tick == Ticks{648});
  // As in SMPTE time, of which a quarter is half a second.
  Score smpte = MadeUpScore().notes({{0, 300, 60, 80, 0}, {0, 500, 62, 80, 1}}).score();
  smpte.division = {.ticks_per_quarter = 0, .frame_code = 25, .ticks_per_frame = 40};
  smpte.format = 2;
  CHECK(written(quantise(smpte, {.grid = 1}).parts[0].hands[0]) == Lines{"0-48:60", "192-240:62"});
  // Too long together.
  Score longer =
      MadeUpScore(480).notes({{0, 6'000'000, 60, 80, 0}, {0, 6'000'000, 62, 80, 1}}).score();
  CHECK(quantise(longer).end() == Ticks{600'000});
  longer.format = 2;
  CHECK_THROWS_AS(quantise(longer), LimitError);
}

TEST_CASE("the pedal beside the notes, in them, or forgotten") {
  auto made = MadeUpScore(4).notes({{0, 4, 60}, {16, 20, 62}});
  made.pedal(0, true).pedal(8, false).pedal(8, true).pedal(12, false).pedal(13, true).pedal(13,
                                                                                            false);
  const Score score = made.score();
  const auto kept = quantise(score);
  REQUIRE(kept.parts[0].pedal.size() == 4);
  CHECK(kept.parts[0].pedal[1].tick == Ticks{96});
  CHECK_FALSE(kept.parts[0].pedal[1].down);
  CHECK(kept.parts[0].pedal[2].down);
  CHECK(written(kept.parts[0].hands[0]) == Lines{"0-48:60", "192-240:62"});
  const auto extended = quantise(score, {.pedal = Pedal::extend});
  CHECK(extended.parts[0].pedal.empty());
  CHECK(written(extended.parts[0].hands[0]) == Lines{"0-96:60", "192-240:62"});
  CHECK(quantise(score, {.pedal = Pedal::off}).parts[0].pedal.empty());
  // Never lifted: up where the music ends.
  const auto held = quantise(MadeUpScore(4).notes({{0, 4, 60}}).pedal(0, true).score());
  REQUIRE(held.parts[0].pedal.size() == 2);
  CHECK(held.parts[0].pedal[1].tick == Ticks{48});
}

TEST_CASE("keys of known scales") {
  constexpr int kMajorScale[] = {0, 2, 4, 5, 7, 9, 11}, kMinorScale[] = {0, 2, 3, 5, 7, 8, 11};
  // C, G, D, ... by fifths; and the keys as they are written.
  for (int tonic = 0; tonic < 12; ++tonic) {
    for (const bool minor : {false, true}) {
      std::array<double, 12> durations{};
      for (const int step : minor ? kMinorScale : kMajorScale)
        durations[static_cast<size_t>((tonic + step) % 12)] += 1;
      for (const int step : {0, minor ? 3 : 4, 7})
        durations[static_cast<size_t>((tonic + step) % 12)] += 1;
      const Key key = estimate_key(durations);
      CAPTURE(tonic);
      CAPTURE(minor);
      CHECK(key.minor == minor);
      CHECK((key.fifths * 7 + (minor ? 9 : 0) + 84) % 12 == tonic);
      CHECK(std::abs(key.fifths) <= 6);
    }
  }
  CHECK(estimate_key({}) == Key{0, false});
  CHECK(estimate_key({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) == Key{0, false});
}

TEST_CASE("names of keys") {
  CHECK(name_of(Key{0, false}) == "C major");
  CHECK(name_of(Key{0, true}) == "A minor");
  CHECK(name_of(Key{-1, false}) == "F major");
  CHECK(name_of(Key{-3, false}) == "E flat major");
  CHECK(name_of(Key{-7, false}) == "C flat major");
  CHECK(name_of(Key{-7, true}) == "A flat minor");
  CHECK(name_of(Key{7, true}) == "A sharp minor");
}

TEST_CASE("spelling") {
  CHECK(spelled(60, {0, false}) == "C4");
  CHECK(spelled(61, {0, false}) == "C#4");
  CHECK(spelled(63, {0, false}) == "Eb4");
  CHECK(spelled(68, {0, false}) == "G#4");
  CHECK(spelled(70, {0, false}) == "Bb4");
  CHECK(spelled(68, {0, true}) == "G#4");
  CHECK(spelled(63, {0, true}) == "D#4");
  CHECK(spelled(61, {-4, false}) == "Db4");
  CHECK(spelled(66, {-3, true}) == "F#4");
  CHECK(spelled(59, {-6, false}) == "Cb4");
  CHECK(spelled(60, {7, false}) == "B#3");
  CHECK(spelled(67, {5, true}) == "F##4");
  CHECK(spelled(127, {0, false}) == "G9");
  // Every pitch is itself in every key, by at most two signs.
  for (int fifths = -7; fifths <= 7; ++fifths) {
    for (const bool minor : {false, true}) {
      for (int pitch = 0; pitch < 128; ++pitch) {
        const Spelling s = spell(pitch, {fifths, minor});
        const auto natural = static_cast<int>(std::string("C D EF G A B").find(s.step));
        CHECK(12 * (s.octave + 1) + natural + s.alter == pitch);
        CHECK(std::abs(s.alter) <= 2);
      }
    }
  }
}

TEST_CASE("keys come from the part's track, from anywhere, from the notes") {
  auto made = MadeUpScore(1);
  made.channel(0, EventKind::program, 0, 40, 0, 0).notes({{0, 4, 60, 80, 0, 0}});
  made.channel(0, EventKind::program, 1, 71, 0, 1).notes({{0, 4, 62, 80, 1, 1}});
  CHECK(quantise(made.score()).parts[0].keys.size() == 1);
  made.key(0, -2, true, 1);
  CHECK(quantise(made.score()).parts[0].keys[0].key == Key{-2, true});
  made.key(0, 3, false, 0);
  CHECK(quantise(made.score()).parts[0].keys[0].key == Key{3, false});
  CHECK(quantise(made.score()).parts[1].keys[0].key == Key{-2, true});
}

TEST_CASE("as MIDI again: what was on the grid is as it was") {
  auto made = MadeUpScore(24).notes({{0, 24, 60, 1}, {8, 16, 64, 127}, {24, 26, 60, 64}});
  made.tempo(0, 123'456)
      .meter(0, 3, 2)
      .key(0, -3, true)
      .pedal(0, true)
      .pedal(24, false)
      .name("Name");
  const GridScore music = quantise(made.score());
  const GridScore again =
      quantise(parse_smf(write_smf(to_score(music)), "again"), {.grid = music.grid});
  REQUIRE(again.parts.size() == 1);
  CHECK(written(again.parts[0].hands[0]) == written(music.parts[0].hands[0]));
  CHECK(again.parts[0].hands[0][2].velocity == 64);
  CHECK(again.parts[0].pedal.size() == 2);
  CHECK(again.parts[0].keys[0].key == Key{-3, true});
  CHECK(again.tempi[0].tempo == 123'456);
  CHECK(again.meters[0].meter == Meter{3, 4});
  CHECK(again.title == "Name");
}

TEST_CASE("text is UTF-8, or made so") {
  const auto text = [](const std::string& bytes) {
    return to_utf8(Bytes(bytes.begin(), bytes.end()));
  };
  CHECK(text("Dvo\xC5\x99\xC3\xA1k \xF0\x9D\x84\x9E") == "Dvo\xC5\x99\xC3\xA1k \xF0\x9D\x84\x9E");
  CHECK(text("Dvor\xE1k") == "Dvor\xC3\xA1k");
  CHECK(text("  a\t\n\v b\x01\x1F"
             "c \r") == "a bc");
  CHECK(text("\xEF\xBF\xBE|\xEF\xBF\xBF") == "|");
  CHECK(text("\xC0\xAF") == "\xC3\x80\xC2\xAF");              // overlong: no UTF-8
  CHECK(text("\xED\xA0\xA1") == "\xC3\xAD\xC2\xA0\xC2\xA1");  // a surrogate
  CHECK(text("\xE2\xA2") == "\xC3\xA2\xC2\xA2");              // cut short
  // What a terminal could obey.
  CHECK(text("a\x7F\xC2\x9B"
             "b\xE2\x80\xAE"
             "c\xE2\x81\xA6"
             "d") == "abcd");
  CHECK(text("Dvo\x9Br\xE1k") == "Dvor\xC3\xA1k");
}
