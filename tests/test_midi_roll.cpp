// pretty_midi's rules one by one, on files made for each. That whole rolls are right is told by
// test_midi_golden.

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/piano_roll.h"
#include "midi/smf.h"
#include "tests/midi_files.h"

using namespace etude::midi;
using namespace etude::tests;

namespace {

// 120 quarters a minute, 480 ticks each: 96 ticks are a tenth of a second, a column at 10 a second.
constexpr uint32_t kColumn = 96;

// "0: 60" lines of a roll at 10 columns a second, joined by spaces, without the head.
std::string roll_of(const Bytes& file, Pedal pedal = Pedal::compat, double fs = 10) {
  std::string text = roll_text(make_piano_roll(parse_smf(file, "x.mid"), {fs, pedal}));
  text.erase(0, text.find('\n') + 1);
  for (char& c : text) c = c == '\n' ? ' ' : c;
  if (!text.empty()) text.pop_back();
  return text;
}

Bytes at(uint32_t delta, const Bytes& event) { return number(delta) + event; }
Bytes on(uint32_t delta, uint8_t pitch, uint8_t channel = 0) {
  return at(delta, {static_cast<uint8_t>(0x90 | channel), pitch, 100});
}
Bytes off(uint32_t delta, uint8_t pitch, uint8_t channel = 0) {
  return at(delta, {static_cast<uint8_t>(0x80 | channel), pitch, 0});
}
Bytes pedal(uint32_t delta, uint8_t value) { return at(delta, {0xB0, 64, value}); }
Bytes bend(uint32_t delta, int value) {
  const int raw = value + 8192;
  return at(delta, {0xE0, static_cast<uint8_t>(raw & 0x7F), static_cast<uint8_t>(raw >> 7)});
}
Bytes one_track(const Bytes& events) { return header(0, 1, 480) + track(events + kEnd); }

}  // namespace

TEST_CASE("a note fills the columns from its start up to its end, truncated") {
  CHECK(roll_of(one_track(on(0, 60) + off(2 * kColumn, 60))) == "0: 60 1: 60");
  CHECK(roll_of(one_track(on(kColumn - 1, 60) + off(2, 60) + pedal(kColumn, 0))) == "0: 60");
  // Inside one column it leaves no mark.
  CHECK(roll_of(one_track(on(1, 60) + off(90, 60) + pedal(kColumn, 0))).empty());
  // The last part column is cut.
  const Score part = parse_smf(one_track(on(0, 60) + off(2 * kColumn + 95, 60)), "x.mid");
  CHECK(make_piano_roll(part, {10, Pedal::compat}).columns() == 2);
}

TEST_CASE("a note-off closes all earlier notes of its pitch and channel") {
  const Bytes struck_twice =
      on(0, 60) + on(kColumn, 60) + off(kColumn, 60) + on(kColumn, 61) + off(kColumn, 61);
  CHECK(roll_of(one_track(struck_twice)) == "0: 60 1: 60 3: 61");
  const auto all = instruments(parse_smf(one_track(struck_twice), "x.mid"));
  CHECK(all[0].notes.size() == 3);
  // Struck on the tick of the note-off: the new note stays open, if an old one was closed ...
  CHECK(roll_of(one_track(on(0, 60) + on(kColumn, 60) + off(0, 60) + off(kColumn, 60))) ==
        "0: 60 1: 60");
  // ... and is forgotten if none was.
  CHECK_THROWS_AS(roll_of(one_track(on(0, 60) + off(0, 60) + off(kColumn, 60))), Error);
  // Another channel's note-off does not count; a note never closed does not exist.
  CHECK(roll_of(one_track(on(0, 60) + on(0, 61) + off(kColumn, 60) + off(kColumn, 61, 1))) ==
        "0: 60");
}

TEST_CASE("the first instrument is the one whose note is closed first") {
  const Bytes other =
      at(0, {0xC1, 5}) + on(0, 70, 1) + on(0, 60, 0) + off(kColumn, 60, 0) + off(kColumn, 70, 1);
  CHECK(roll_of(one_track(other)) == "0: 60");
  // A program change between note-on and note-off: the program at the note-off counts.
  const Bytes changed = on(0, 60) + at(0, {0xC0, 7}) + off(kColumn, 60) + at(0, {0xC0, 0}) +
                        on(0, 62) + off(kColumn, 62);
  const auto all = instruments(parse_smf(one_track(changed), "x.mid"));
  REQUIRE(all.size() == 2);
  CHECK(all[0].program == 7);
  CHECK(all[1].program == 0);
  CHECK(roll_of(one_track(changed)) == "0: 60");
  // Tracks in order.
  CHECK(roll_of(header(1, 2, 480) + track(on(9, 60) + off(960, 60) + kEnd) +
                track(on(0, 72) + off(96, 72) + kEnd)) ==
        "0: 60 1: 60 2: 60 3: 60 4: 60 5: 60 6: 60 7: 60 8: 60 9: 60");
  // A drum kit has no pitch: columns, but none that sounds.
  const Score drums = parse_smf(one_track(on(0, 36, 9) + off(960, 36, 9)), "x.mid");
  const PianoRoll roll = make_piano_roll(drums, {10, Pedal::compat});
  CHECK(roll.columns() == 10);
  CHECK(roll_text(roll) == "# fs=10 columns=10\n");
}

TEST_CASE("the pedal holds what sounds from pedal-down to pedal-up") {
  const Bytes notes =
      on(0, 60) + pedal(0, 64) + off(kColumn, 60) + on(kColumn, 64) + off(kColumn, 64);
  CHECK(roll_of(one_track(notes + pedal(kColumn, 63))) == "0: 60 1: 60 2: 60,64 3: 60,64");
  CHECK(roll_of(one_track(notes + pedal(kColumn, 63)), Pedal::off) == "0: 60 2: 64");
  // Never lifted: nothing is held. Down again while down: the stretch does not begin anew.
  CHECK(roll_of(one_track(notes + pedal(kColumn, 64))) == "0: 60 2: 64");
  CHECK(roll_of(one_track(notes + pedal(0, 127) + pedal(kColumn, 0))) ==
        "0: 60 1: 60 2: 60,64 3: 60,64");
  // What ended in an earlier column than the pedal's is not held.
  CHECK(roll_of(one_track(on(0, 60) + off(kColumn, 60) + pedal(0, 127) + pedal(3 * kColumn, 0))) ==
        "0: 60");
  // Pedals before the first note count; those of another channel do not.
  CHECK(roll_of(one_track(at(0, {0xB1, 64, 127}) + on(0, 60) + off(kColumn, 60) +
                          at(kColumn, {0xB1, 64, 0}))) == "0: 60");
}

TEST_CASE("tempo changes of the first track move the columns, others do not") {
  const Bytes half = {0xFF, 0x51, 0x03, 0x0F, 0x42, 0x40};  // 60 quarters a minute
  const Bytes notes = on(0, 60) + off(kColumn, 60) + on(kColumn, 62) + off(kColumn, 62);
  CHECK(roll_of(one_track(at(0, half) + notes)) == "0: 60 1: 60 4: 62 5: 62");
  CHECK(roll_of(header(1, 2, 480) + track(at(0, half) + kEnd) + track(notes + kEnd)) ==
        "0: 60 1: 60 4: 62 5: 62");
  CHECK(roll_of(header(1, 2, 480) + track(kEnd) + track(at(0, half) + notes + kEnd)) ==
        "0: 60 2: 62");
}

TEST_CASE("pitch bends shift by whole semitones and smear by parts") {
  const Bytes note = on(0, 60) + off(2 * kColumn, 60);
  CHECK(roll_of(one_track(bend(0, -8192) + note)) == "0: 58 1: 58");
  CHECK(roll_of(one_track(bend(0, 4096) + note)) == "0: 61 1: 61");
  CHECK(roll_of(one_track(bend(0, 2048) + note)) == "0: 60,61 1: 60,61");
  CHECK(roll_of(one_track(bend(0, -6000) + note)) == "0: 58,59 1: 58,59");
  CHECK(roll_of(one_track(on(0, 60) + bend(kColumn, 4096) + off(kColumn, 60))) == "0: 60 1: 61");
}

TEST_CASE("articulated: the columns where a sounding note is struck") {
  const Bytes notes = on(0, 60) + pedal(0, 127) + off(kColumn, 60) + on(kColumn, 60) + off(50, 60) +
                      on(kColumn, 62) + off(1, 62) + pedal(200, 0);
  const auto roll = make_piano_roll(parse_smf(one_track(notes), "x.mid"), {10, Pedal::compat});
  REQUIRE(roll.columns() == 5);
  std::string struck;
  for (size_t c = 0; c < 5; ++c) {
    roll.articulated[c].each(
        [&](int pitch) { struck += std::to_string(c) + ":" + std::to_string(pitch) + " "; });
    CHECK((roll.articulated[c] & roll.played[c]) == roll.articulated[c]);
  }
  // The second 60 lies inside one column, but the pedal lets that column sound; 62 is never heard.
  CHECK(struck == "0:60 2:60 ");
}

TEST_CASE("rates: parts of a column a second, and what is no rate") {
  const Bytes file = one_track(on(0, 60) + off(960, 60));
  CHECK(roll_text(make_piano_roll(parse_smf(file, "x"), {7.5, Pedal::compat}))
            .starts_with("# fs=7.5 columns=7\n"));
  CHECK(roll_text(make_piano_roll(parse_smf(file, "x"), {100, Pedal::compat}))
            .starts_with("# fs=100 columns=100\n"));
  for (const double fs : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    CHECK_THROWS_AS(make_piano_roll(parse_smf(file, "x"), {fs, Pedal::compat}), Error);
  }
}

TEST_CASE("no closed note is an error that says so") {
  CHECK_THROWS_WITH_AS(roll_of(one_track(on(0, 60))), "x.mid: no note that begins and ends", Error);
}

TEST_CASE("extend: each note goes on to the pedal-up, or to the next strike of its key") {
  const auto extended = [](const Bytes& events) {
    return roll_of(one_track(events), Pedal::extend);
  };
  // Down before the note ends, up two columns later.
  const Bytes held = pedal(0, 127) + on(0, 60) + off(kColumn, 60) + pedal(2 * kColumn, 0);
  CHECK(extended(held + pedal(kColumn, 0)) == "0: 60 1: 60 2: 60");
  // Down after the note has ended: nothing to hold. (compat agrees here.)
  CHECK(extended(on(0, 60) + off(kColumn, 60) + pedal(1, 127) + pedal(kColumn, 0)) == "0: 60");
  // On the very tick: the damper stays up. Half a pedal, 64, is down; 63 is not.
  CHECK(extended(on(0, 60) + off(kColumn, 60) + pedal(0, 64) + pedal(kColumn, 63)) ==
        "0: 60 1: 60");
  CHECK(extended(on(0, 60) + off(kColumn, 60) + pedal(0, 63) + pedal(kColumn, 0)) == "0: 60");
  // The next strike takes over: its own note ends after the pedal-up, at its own note-off.
  const auto notes = [](const Bytes& events) {
    std::string text;
    for (const Note& note : pedalled_notes(instruments(parse_smf(one_track(events), "x.mid"))[0]))
      text += std::to_string(note.start.count) + "-" + std::to_string(note.end.count) + " ";
    return text;
  };
  CHECK(notes(pedal(0, 127) + on(10, 60) + off(10, 60) + on(10, 60) + off(10, 60) + on(50, 60) +
              pedal(10, 0) + off(10, 60)) == "10-30 30-90 90-110 ");
  // Never lifted: to the end of the instrument. compat does nothing then.
  const Bytes never = pedal(0, 127) + on(0, 60) + off(kColumn, 60) + on(0, 64) + off(kColumn, 64);
  CHECK(extended(never) == "0: 60 1: 60,64");
  CHECK(roll_of(one_track(never)) == "0: 60 1: 64");
  // A note that is struck again while it sounds is not made longer, nor shorter.
  CHECK(notes(pedal(0, 127) + on(0, 60) + on(10, 60) + off(10, 60) + pedal(10, 0)) ==
        "0-20 10-30 ");
}
