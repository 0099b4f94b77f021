// Reading and writing Standard MIDI Files: every kind of event, the tolerances, the errors with
// their offsets, and files that mean harm.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "midi/error.h"
#include "midi/files.h"
#include "midi/instrument.h"
#include "midi/piano_roll.h"
#include "midi/score_file.h"
#include "midi/smf.h"
#include "midi/smf_write.h"
#include "midi/tempo.h"
#include "tests/midi_files.h"
#include "tests/shared_data.h"

using namespace etude::midi;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

// What must survive writing and reading; file offsets need not.
bool same_events(const Score& a, const Score& b) {
  if (a.tracks.size() != b.tracks.size()) return false;
  const auto same = [&](const Event& x, const Event& y) {
    return x.tick == y.tick && x.kind == y.kind && x.channel == y.channel && x.a == y.a &&
           x.b == y.b && std::ranges::equal(a.bytes(x), b.bytes(y));
  };
  for (size_t t = 0; t < a.tracks.size(); ++t) {
    auto first = a.tracks[t].events;
    auto second = b.tracks[t].events;
    // The writer ends a track that has no end.
    if (first.size() + 1 == second.size() && second.back().is_meta(meta::end_of_track))
      second.pop_back();
    if (!std::ranges::equal(first, second, same)) return false;
  }
  return a.division.ticks_per_quarter == b.division.ticks_per_quarter &&
         a.division.frame_code == b.division.frame_code &&
         a.division.ticks_per_frame == b.division.ticks_per_frame;
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string fault(const Bytes& bytes) {
  return message_of([&] { parse_smf(bytes, "x.mid"); });
}

// Every kind of event, running status, long and padded deltas, sysex in parts, unknown meta.
Bytes rich_file() {
  const Bytes first =
      Bytes{0x00, 0xFF, 0x51, 0x03, 0x07, 0xA1, 0x20} +             // tempo
      Bytes{0x00, 0xFF, 0x03, 0x02, 'H', 'i'} +                     // name
      Bytes{0x00, 0xC3, 0x05, 0x00, 0x06} +                         // programs, running
      Bytes{0x00, 0x93, 60, 64, 0x60, 64, 65, 0x81, 0x00, 60, 0} +  // notes, running
      Bytes{0x00, 0xF0, 0x02, 0x41, 0x42, 0x05, 0xF7, 0x02, 0x43, 0xF7} +
      Bytes{0x80, 0x80, 0x80, 0x07, 0x83, 64, 0x40} +  // padded delta
      Bytes{0x00, 0xA3, 61, 1, 0x00, 0xB3, 64, 127, 0x00, 0xD3, 9} +
      Bytes{0x00, 0xE3, 0x00, 0x40, 0x00, 0xFF, 0x60, 0x00} + kEnd;
  const Bytes second = Bytes{0x83, 0x60, 0xFF, 0x51, 0x03, 0x03, 0xD0, 0x90} +
                       Bytes{0x00, 0x90, 48, 80, 0x83, 0x60, 0x80, 48, 0} + kEnd;
  return header(1, 2, 480) + track(first) + track(second);
}

Score random_score(std::mt19937& random) {
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Score score;
  score.name = "random";
  score.format = pick(3);
  if (pick(4) == 0) {
    score.division = {.ticks_per_quarter = 0, .frame_code = 29, .ticks_per_frame = 80};
  } else {
    score.division.ticks_per_quarter = 1 + pick(1000);
  }
  score.tracks.resize(static_cast<size_t>(1 + pick(3)));
  score.tracks_declared = static_cast<int>(score.tracks.size());
  for (size_t t = 0; t < score.tracks.size(); ++t) {
    Ticks tick;
    for (int i = pick(60); i > 0; --i) {
      Event event;
      event.tick = tick += {pick(3) ? pick(200) : pick(1 << 20)};
      const int status = 0x80 + 0x10 * pick(8);
      if (status == 0xF0) {
        constexpr EventKind kinds[] = {EventKind::sysex, EventKind::sysex_continued,
                                       EventKind::meta};
        event.kind = kinds[pick(3)];
        if (event.kind == EventKind::meta) event.a = static_cast<uint8_t>(pick(0x2F));
        Bytes bytes(static_cast<size_t>(pick(300)));
        for (auto& byte : bytes) byte = static_cast<uint8_t>(pick(256));
        score.add(t, event, bytes);
        continue;
      }
      event.kind = static_cast<EventKind>(status);
      event.channel = static_cast<uint8_t>(pick(16));
      event.a = static_cast<uint8_t>(pick(128));
      const bool one =
          event.kind == EventKind::program || event.kind == EventKind::channel_pressure;
      event.b = static_cast<uint8_t>(one ? 0 : pick(128));
      score.tracks[t].events.push_back(event);
    }
  }
  return score;
}

// All that this room does with a file. What may come out is a result or an Error.
void survive(const Bytes& bytes) {
  for (const Reading reading : {Reading::strict, Reading::tolerant, Reading::recover}) {
    try {
      const Score score = parse_smf(bytes, "x.mid", reading);
      CHECK(score.found.size() <= 100);
      CHECK(same_events(score, parse_smf(write_smf(score), "again.mid")));
      end_times(score);
      for (const Pedal pedal : {Pedal::compat, Pedal::extend, Pedal::off}) {
        const PianoRoll roll = make_piano_roll(score, {20, pedal});
        CHECK(roll.articulated.size() == roll.played.size());
        CHECK(roll.columns() <= kMaxColumns);
      }
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
}

// Every delta in four bytes and every status written out: only the careful reader takes these.
Bytes slow_file(const Score& score) {
  Bytes file = header(score.format, static_cast<int>(score.tracks.size()), 480);
  for (const Track& track : score.tracks) {
    Bytes events;
    const auto add = [&](const Bytes& bytes) {
      events.insert(events.end(), bytes.begin(), bytes.end());
    };
    Ticks before;
    for (const Event& event : track.events) {
      const auto delta = static_cast<size_t>((event.tick - before).count);
      before = event.tick;
      for (const int shift : {21, 14, 7})
        events.push_back(static_cast<uint8_t>(0x80 | (delta >> shift & 0x7F)));
      events.push_back(delta & 0x7F);
      if (event.kind < EventKind::sysex) {
        events.push_back(static_cast<uint8_t>(static_cast<int>(event.kind) | event.channel));
        events.push_back(event.a);
        const bool one =
            event.kind == EventKind::program || event.kind == EventKind::channel_pressure;
        if (!one) events.push_back(event.b);
        continue;
      }
      events.push_back(static_cast<uint8_t>(event.kind));
      if (event.kind == EventKind::meta) events.push_back(event.a);
      const auto bytes = score.bytes(event);
      add(number(static_cast<uint32_t>(bytes.size())));
      add({bytes.begin(), bytes.end()});
    }
    const Bytes written = chunk("MTrk", events);
    file.insert(file.end(), written.begin(), written.end());
  }
  return file;
}

std::vector<Bytes> small_files() {
  std::vector<Bytes> files = {rich_file()};
  const Bytes one = rich_file();
  files.push_back(Bytes{'R',
                        'I',
                        'F',
                        'F',
                        0,
                        0,
                        0,
                        0,
                        'R',
                        'M',
                        'I',
                        'D',
                        'd',
                        'a',
                        't',
                        'a',
                        part(one.size(), 0),
                        part(one.size(), 8),
                        0,
                        0} +
                  one);
  files.push_back(header(0, 1, 0xE250) + track(Bytes{0x00, 0x99, 36, 1, 0x60, 0x89, 36, 0} + kEnd));
  return files;
}

}  // namespace

TEST_CASE("every kind of event is kept, with its tick and its place in the file") {
  const Bytes bytes = rich_file();
  const Score score = parse_smf(bytes, "rich.mid");
  CHECK(score.format == 1);
  CHECK(score.tracks_declared == 2);
  CHECK(score.found.empty());
  REQUIRE(score.tracks.size() == 2);
  const auto& events = score.tracks[0].events;
  const std::vector<EventKind> kinds = {EventKind::meta,
                                        EventKind::meta,
                                        EventKind::program,
                                        EventKind::program,
                                        EventKind::note_on,
                                        EventKind::note_on,
                                        EventKind::note_on,
                                        EventKind::sysex,
                                        EventKind::sysex_continued,
                                        EventKind::note_off,
                                        EventKind::key_pressure,
                                        EventKind::control,
                                        EventKind::channel_pressure,
                                        EventKind::pitch_bend,
                                        EventKind::meta,
                                        EventKind::meta};
  REQUIRE(events.size() == kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) CHECK(events[i].kind == kinds[i]);
  CHECK(tempo_of(score, events[0]) == 500000);
  CHECK(events[3].a == 6);
  CHECK(events[3].channel == 3);
  CHECK(events[5].tick.count == 96);
  CHECK(events[6].tick.count == 96 + 128);
  CHECK(events[6].is_note_off());
  CHECK(score.bytes(events[7]).size() == 2);
  CHECK(score.bytes(events[8])[1] == 0xF7);
  CHECK(events[9].tick.count == 96 + 128 + 5 + 7);
  CHECK(events[13].bend() == 0);
  // The offset is that of the status, or of the first data byte under running status.
  CHECK(bytes[events[4].offset] == 0x93);
  CHECK(bytes[events[5].offset] == 64);
  CHECK(score.note_ons() == 3);
  CHECK(score.end_tick().count == 960);
}

TEST_CASE("seconds: tempo of all tracks for players, of the first for rolls; SMPTE; format 2") {
  const Score score = parse_smf(rich_file(), "rich.mid");
  // 480 ticks at 120 a minute, then 480 at 240.
  CHECK(end_times(score).last_event.count == 0.5 + 0.25);
  CHECK(end_times(score).last_event_by_first_track.count == 1.0);
  CHECK(end_times(score).last_note_off.count == 0.75);

  const Bytes events =
      Bytes{0x00, 0xFF, 0x51, 0x03, 0x01, 0x00, 0x00} + number(30000) + Bytes{0x90, 60, 1} + kEnd;
  const Score drop = parse_smf(header(0, 1, 0xE350) + track(events), "29.mid");  // -29, 80
  CHECK(drop.division.frame_code == 29);
  CHECK(end_times(drop).last_event.count ==
        doctest::Approx(30000 / (30000.0 / 1001 * 80)).epsilon(1e-14));

  const auto with_tempo = [](uint8_t high) {
    return track(Bytes{0x00, 0xFF, 0x51, 0x03, high, 0x00, 0x00} + number(480) +
                 Bytes{0x90, 60, 0} + kEnd);
  };
  const Score two = parse_smf(header(2, 2, 480) + with_tempo(0x10) + with_tempo(0x20), "2.mid");
  CHECK(end_times(two).last_event.count == doctest::Approx(0x200000 / 1e6).epsilon(1e-14));
}

TEST_CASE("errors name the file, the byte and the reason") {
  const Bytes head = header(0, 1, 96);
  CHECK(fault({}) == "x.mid: byte 0: the file is empty");
  CHECK(fault({'h', 'e', 'l', 'l', 'o'}) ==
        "x.mid: byte 0: not a MIDI file: it does not begin with MThd");
  CHECK(fault(Bytes(head.begin(), head.begin() + 11)) ==
        "x.mid: byte 11: the file ends inside its header");
  CHECK(fault(chunk("MThd", {0, 0, 0, 1, 0, 0}) + track(kEnd)) ==
        "x.mid: byte 12: ticks per quarter note is 0");
  CHECK(fault(header(0, 1, 0x9C10)).starts_with("x.mid: byte 12: SMPTE division of 100 frames"));
  CHECK(fault(head) == "x.mid: byte 14: no track (MTrk chunk) in the file");
  CHECK(fault(head + track({0x00, 60, 1})) ==
        "x.mid: byte 23: data byte 3c where a status byte must be");
  CHECK(fault(head + track({0x00, 0x90, 60, 200})) == "x.mid: byte 25: data byte 200 above 127");
  CHECK(fault(head + track({0x00, 0x90, 60})) ==
        "x.mid: byte 25: the track ends inside a channel message");
  CHECK(fault(head + track({0x80, 0x80, 0x80, 0x80, 0x00})) ==
        "x.mid: byte 22: variable-length number of more than 4 bytes");
  CHECK(fault(head + track({0x00, 0xFF, 0x01, 0x09, 'a'})) ==
        "x.mid: byte 26: the track ends inside a meta or sysex event");
  Bytes lying = head + track({0x00, 0x90, 60, 1});
  lying[21] = 9;
  CHECK(fault(lying) == "x.mid: byte 18: track length runs 5 bytes past the file");
  CHECK(fault({'R', 'I', 'F', 'F', 4, 0, 0, 0, 'W', 'A', 'V', 'E'}).find("not RMID") !=
        std::string::npos);
  CHECK(message_of([] { read_score("/no/such/file.mid"); }) ==
        "/no/such/file.mid: cannot be opened: No such file or directory");
  CHECK(message_of([] { read_score("/tmp"); }) == "/tmp: is a folder, not a file");
}

TEST_CASE("what is tolerated is told, and refused where the letter counts") {
  const auto found = [](const Bytes& bytes) {
    std::string all;
    const auto findings = parse_smf(bytes, "x.mid").found;
    for (const Finding& finding : findings) all += finding.what + ";";
    const std::string strict = message_of([&] { parse_smf(bytes, "x.mid", Reading::strict); });
    REQUIRE(!findings.empty());
    CHECK(strict == "x.mid: byte " + std::to_string(findings[0].place) + ": " + findings[0].what);
    return all;
  };
  const Bytes one = header(0, 1, 96);
  CHECK(found(one + track(kEnd) + Bytes{0}) == "1 trailing bytes after the last chunk;");
  // Another file is not more tracks of this one, whatever its faults.
  CHECK(found(one + track(kEnd) + one + track(Bytes{0, 0x90})) ==
        "24 trailing bytes after the last chunk;");
  CHECK(found(one + chunk("Junk", {1, 2}) + track(kEnd)) == "unknown chunk 'Junk' skipped;");
  CHECK(found(one + track({0x00, 0xFE, 0x00, 0xF2, 1, 2, 0x00, 0xFF, 0x2F, 0x00})) ==
        "status fe, not legal in a file, skipped;status f2, not legal in a file, skipped;");
  CHECK(found(one + track(kEnd + kEnd)) == "4 bytes after End of Track;");
  CHECK(found(one + track(kEnd) + track(kEnd)) ==
        "header says 1 tracks, 2 found;format 0 with more than one track;");
  CHECK(found(header(1, 3, 96) + track(kEnd)) == "header says 3 tracks, 1 found;");
  CHECK(found(one + track({0x00, 0x90, 60, 1, 0x00, 0xFF, 0x01, 0x00, 0x60, 60, 0})) ==
        "running status kept across a meta or sysex event;no End of Track;");
  CHECK(found(one + track(Bytes{0x00, 0xFF, 0x51, 0x03, 0, 0, 0} + kEnd)) ==
        "tempo event without a usable tempo ignored;");
  CHECK(found(header(5, 1, 96) + track(kEnd)) == "format 5 is not 0, 1 or 2;");
  CHECK(found(chunk("MThd", {0, 0, 0, 1, 0, 96, 7, 7}) + track(kEnd)) ==
        "2 extra header bytes skipped;");
  const Bytes plain = one + track(kEnd);
  CHECK(found(Bytes{'R', 'I', 'F', 'F', 34, 0, 0, 0, 'R', 'M', 'I', 'D', 'd', 'a', 't', 'a'} +
              Bytes{26, 0, 0, 0} + plain) == "RIFF RMID wrapper removed;");
}

TEST_CASE("a chunk's wrong length costs nothing where End of Track tells the right one") {
  const Bytes notes = Bytes{0x00, 0x90, 60, 1, 0x60, 0x80, 60, 0} + kEnd;
  const Bytes right = header(1, 2, 96) + track(notes) + track(notes);
  for (const int wrong : {0, 1, 5, 8, 11, 13, 19, 20, 21, 31, 32, 33, 0xFF}) {
    Bytes bytes = right;
    bytes[21] = static_cast<uint8_t>(wrong);
    CAPTURE(wrong);
    const Score score = parse_smf(bytes, "x.mid");
    CHECK(same_events(score, parse_smf(right, "x.mid")));
    REQUIRE(score.found.size() == 1);
    CHECK(score.found[0].kind == Deviation::wrong_chunk_length);
    CHECK(score.found[0].what ==
          "track length " + std::to_string(wrong) + ", End of Track after 12");
    CHECK(score.found[0].place == 18);
  }
  // No End of Track, and a length that leads nowhere: what there is by the length is all.
  const Score none = parse_smf(
      header(0, 1, 96) + track({0x00, 0x90, 60, 1}) + Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0}, "x.mid");
  CHECK(none.found.size() == 2);
  CHECK(none.tracks[0].events.size() == 1);
}

TEST_CASE("doubtful notes are counted, and refused where the letter counts") {
  const Bytes events = Bytes{0x00, 0x90, 60, 1, 0x10, 60, 2, 0x10, 60, 0} +  // struck twice
                       Bytes{0x00, 62, 1, 0x00, 62, 0, 0x10, 64, 1} + kEnd;  // no length; open
  const Bytes bytes = header(0, 1, 96) + track(events);
  const auto found = doubtful_notes(parse_smf(bytes, "x.mid"));
  REQUIRE(found.size() == 3);
  CHECK(found[0].kind == Deviation::overlapping_notes);
  CHECK(found[0].what == "a note struck while it sounds");
  CHECK(bytes[found[0].place] == 60);
  CHECK(found[0].place == 27);
  CHECK(found[1].kind == Deviation::unclosed_note);
  CHECK(bytes[found[1].place] == 64);
  CHECK(found[2].kind == Deviation::zero_length_note);
  CHECK(bytes[found[2].place] == 62);
  CHECK(message_of([&] { parse_smf(bytes, "x.mid", Reading::strict); }) ==
        "x.mid: byte 27: a note struck while it sounds");
}

TEST_CASE("damage, when asked, costs only what follows it in its track") {
  const Bytes bad = track({0x00, 0x90, 60, 1, 0x00, 0x90, 61, 200, 0x00, 0x90, 62, 1});
  const Bytes good = track(Bytes{0x00, 0x90, 70, 1} + kEnd);
  const Bytes bytes = header(1, 2, 96) + bad + good;
  CHECK_THROWS_AS(parse_smf(bytes, "x.mid"), Error);
  const Score score = parse_smf(bytes, "x.mid", Reading::recover);
  REQUIRE(score.tracks.size() == 2);
  CHECK(score.tracks[0].events.size() == 1);
  CHECK(score.tracks[1].events.size() == 2);
  REQUIRE(score.found.size() == 1);
  CHECK(score.found[0].what == "damage: data byte 200 above 127");
  CHECK(score.found[0].place == 29);
}

TEST_CASE("what is written reads back the same") {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const Score score = random_score(random);
    const Bytes bytes = write_smf(score);
    const Score again = parse_smf(bytes, "again.mid");
    CHECK(again.found.size() == (again.format == 0 && again.tracks.size() > 1 ? 1 : 0));
    CHECK(again.format == score.format);
    CHECK(same_events(score, again));
    CHECK(write_smf(again) == bytes);
  }
  for (const Bytes& file : small_files()) {
    const Score score = parse_smf(file, "x.mid");
    CHECK(same_events(score, parse_smf(write_smf(score), "again.mid")));
  }
}

TEST_CASE("the quick reader of plain events and the careful one read the same") {
  const auto check = [](const Score& quick) {
    Score slow = parse_score(slow_file(quick), "slow.mid");
    slow.division = quick.division;
    CHECK(same_events(quick, slow));
  };
  std::mt19937 random(3);
  for (int i = 0; i < 100; ++i) {
    const Score score = random_score(random);
    check(parse_score(write_smf(score), "quick.mid"));
  }
  for (const Bytes& file : small_files()) check(parse_score(file, "quick.mid"));
  ETUDE_NEEDS_SHARED("maestro100");
  for (const auto& entry : fs::directory_iterator(shared("maestro100"))) {
    if (entry.path().extension() == ".mid") check(read_score(entry.path()));
  }
}

TEST_CASE("a score that cannot be written is refused") {
  Score score;
  score.name = "s";
  score.tracks.resize(1);
  score.tracks[0].events = {{.tick = {5}}, {.tick = {4}}};
  CHECK(message_of([&] { write_smf(score); }) == "s: tick 4 after tick 5 cannot be written");
  score.tracks[0].events = {{.tick = {int64_t{1} << 28}}};
  CHECK_THROWS_AS(write_smf(score), Error);
}

TEST_CASE("read, write, read: all of the reference's files") {
  ETUDE_NEEDS_SHARED("maestro100");
  int files = 0;
  for (const char* folder : {"maestro100", "scores", "midi-corner-cases"}) {
    for (const auto& entry : fs::directory_iterator(shared(folder))) {
      if (entry.path().extension() != ".mid") continue;
      try {
        const Score score = read_score(entry.path(), Reading::recover);
        CHECK(same_events(score, parse_smf(write_smf(score), "again.mid")));
        ++files;
      } catch (const Error&) {  // which ones may throw is told in test_midi_golden
      }
    }
  }
  CHECK(files == 100 + 12 + 53);
}

TEST_CASE("files are written whole or not at all") {
  const TemporaryFolder folder;
  const Score score = parse_smf(rich_file(), "x.mid");
  write_score(folder / "a.mid", score);
  CHECK(file_bytes(folder / "a.mid") == write_smf(score));
  write_file_atomically(folder / "a.mid", "short");
  CHECK(file_text(folder / "a.mid") == "short");
  CHECK(message_of([&] {
          write_score(folder / "none" / "a.mid", score);
        }).find("cannot be written: No such file") != std::string::npos);
  fs::create_directory(folder / "b.mid");
  CHECK_THROWS_AS(write_score(folder / "b.mid", score), Error);
  CHECK_THROWS_AS(write_file_atomically("/dev/null", "no file"), Error);
  CHECK(message_of([&] {
          write_score(folder / "a.wav", score);
        }).ends_with("a.wav: its name ends with none of .mid, .midi, .musicxml, .xml, .mxl"));
  fs::create_symlink("a.mid", folder / "link.mid");
  write_file_atomically(folder / "link.mid", "through");
  CHECK(fs::is_symlink(folder / "link.mid"));
  CHECK(file_text(folder / "a.mid") == "through");
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 3);  // nothing is left over
}

TEST_CASE("hostile: cut anywhere") {
  auto files = small_files();
  if (fs::exists(shared_data() / "midi-corner-cases")) {
    for (const char* name :
         {"made-tempo-map.mid", "test-karaoke-kar.mid", "made-sysex-continued.mid",
          "test-illegal-message-all.mid", "made-riff-rmid.mid"}) {
      files.push_back(file_bytes(shared_data() / "midi-corner-cases" / name));
    }
  }
  for (const Bytes& file : files) {
    for (size_t length = 0; length < file.size(); ++length) {
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
      // Only a cut between two tracks leaves a file that is whole but for its head.
      try {
        const auto found = parse_smf(cut, "cut.mid").found;
        CHECK(std::ranges::any_of(
            found, [](const Finding& f) { return f.kind == Deviation::too_few_tracks; }));
      } catch (const Error&) {
      }
      CHECK_THROWS_AS(parse_smf(cut, "cut.mid", Reading::strict), Error);
      survive(cut);
    }
  }
}

TEST_CASE("hostile: bytes changed, put in and taken out") {
  std::mt19937 random(2);
  for (int i = 0; i < 4000; ++i) {
    for (Bytes bytes : small_files()) {
      for (unsigned k = random() % 4 + 1; k > 0; --k) {
        const auto at = static_cast<std::ptrdiff_t>(random() % bytes.size());
        const auto value = static_cast<uint8_t>(random());
        switch (random() % 4) {
          case 0:
            bytes.insert(bytes.begin() + at, value);
            break;
          case 1:
            bytes.erase(bytes.begin() + at);
            break;
          default:
            bytes[static_cast<size_t>(at)] = value;
        }
      }
      survive(bytes);
    }
  }
}

TEST_CASE("hostile: beyond the limits") {
  // The longest delta there is: it can be read, but it is not turned into notes.
  const Bytes longest =
      header(0, 1, 480) + track(Bytes{0x00, 0x90, 60, 1, 0xFF, 0xFF, 0xFF, 0x7F, 60, 0} + kEnd);
  const Score score = parse_smf(longest, "long.mid");
  CHECK(score.end_tick().count == 268435455);
  CHECK_THROWS_AS(make_piano_roll(score, {}), LimitError);
  CHECK(message_of([&] { make_piano_roll(score, {}); }) ==
        "long.mid: 268435455 ticks long, beyond the limit of 10000000");

  // One tick a quarter note, 16 seconds a tick: few ticks, many columns.
  const Bytes slow =
      header(0, 1, 1) + track(Bytes{0x00, 0xFF, 0x51, 0x03, 0xFF, 0xFF, 0xFF} +
                              Bytes{0x00, 0x90, 60, 1} + number(9999999) + Bytes{60, 0} + kEnd);
  CHECK_THROWS_AS(make_piano_roll(parse_smf(slow, "slow.mid"), {}), LimitError);

  // Two bytes an event.
  Bytes programs = {0x00, 0xC0, 0x01};
  programs.resize(3 + 2 * kMaxEvents, 0);
  CHECK_THROWS_AS(parse_smf(header(0, 1, 480) + track(programs), "many.mid"), LimitError);

  CHECK_THROWS_AS(parse_smf(Bytes(kMaxFileBytes + 1), "big.mid"), LimitError);
  const TemporaryFolder folder;
  const fs::path sparse = folder.write("big.mid", Bytes{0});
  fs::resize_file(sparse, kMaxFileBytes + 1);
  CHECK_THROWS_AS(read_score(sparse), LimitError);
}

TEST_CASE("hostile: lengths that promise much") {
  Bytes file = header(1, 1000, 480);
  for (int i = 0; i < 1000; ++i)
    file = std::move(file) + Bytes{'M', 'T', 'r', 'k', 0xFF, 0xFF, 0xFF, 0xFF} + kEnd;
  const Score score = parse_smf(file, "x.mid");
  REQUIRE(score.tracks.size() == 1000);
  for (const Track& track : score.tracks) CHECK(track.events.capacity() <= 2);
}

TEST_CASE("hostile: a hundred thousand notes on one key, as many tracks as can be") {
  Bytes events;
  for (int i = 0; i < 100000; ++i) events = std::move(events) + Bytes{0x01, 0x90, 60, 1};
  events = std::move(events) + Bytes{0x80, 60, 0, 0x00, 0x80, 60, 0};
  // (The first 0x80 is part of a delta: 0x80 0x3C.)
  survive(header(0, 1, 480) + track(events));
  Bytes file = header(1, 0, 480);
  for (size_t i = 0; i < kMaxTracks; ++i) file = std::move(file) + chunk("MTrk", {});
  survive(file);
  CHECK_THROWS_AS(parse_smf(file + chunk("MTrk", {}), "tracks.mid"), LimitError);
}
