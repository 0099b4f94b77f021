#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "midi/archive.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/musicxml.h"
#include "midi/score_file.h"
#include "midi/smf.h"
#include "midi/smf_write.h"
#include "midi/tempo.h"
#include "tests/midi_files.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
using midi::Score;

namespace {

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

Score parse(const std::string& xml) { return midi::parse_musicxml(bytes_of(xml), "x.musicxml"); }

// Divisions are 12 unless a measure says otherwise.
const std::string kTwelve = "<attributes><divisions>12</divisions></attributes>";

// "C4", "F#5", "Bb3" of so many twelfths of a quarter, with whatever else a note holds.
std::string pitch(const std::string& name) {
  std::string alter;
  if (name[1] == '#') alter = "<alter>1</alter>";
  if (name[1] == 'b') alter = "<alter>-1</alter>";
  return fmt::format("<pitch><step>{}</step>{}<octave>{}</octave></pitch>", name[0], alter,
                     name.back());
}
std::string note(const std::string& name, int twelfths, const std::string& more = "") {
  return fmt::format("<note>{}<duration>{}</duration>{}</note>", pitch(name), twelfths, more);
}
std::string chord(const std::string& name, int twelfths, const std::string& more = "") {
  return fmt::format("<note><chord/>{}<duration>{}</duration>{}</note>", pitch(name), twelfths,
                     more);
}
std::string grace(const std::string& name, const std::string& attributes = "",
                  const std::string& more = "") {
  return fmt::format("<note><grace {}/>{}{}</note>", attributes, pitch(name), more);
}
std::string rest(int twelfths, const std::string& more = "") {
  return fmt::format("<note><rest/><duration>{}</duration>{}</note>", twelfths, more);
}
std::string voice(int number) { return fmt::format("<voice>{}</voice>", number); }
std::string staff(int number) { return fmt::format("<staff>{}</staff>", number); }
std::string backup(int twelfths) {
  return fmt::format("<backup><duration>{}</duration></backup>", twelfths);
}
std::string sound(const std::string& attributes) { return "<sound " + attributes + "/>"; }
std::string repeat(const std::string& direction, const std::string& more = "") {
  return fmt::format("<barline><repeat direction='{}' {}/></barline>", direction, more);
}
std::string ending(const std::string& number, const std::string& type) {
  return fmt::format("<barline><ending number='{}' type='{}'/></barline>", number, type);
}
std::string attributes(const std::string& content) {
  return "<attributes>" + content + "</attributes>";
}
std::string time_of(const std::string& beats, int type) {
  return fmt::format("<time><beats>{}</beats><beat-type>{}</beat-type></time>", beats, type);
}

std::string part(const std::vector<std::string>& measures, const std::string& id = "P1") {
  std::string xml = "<part id='" + id + "'>";
  for (size_t i = 0; i < measures.size(); ++i)
    xml += fmt::format("<measure number='{}'>{}{}</measure>", i + 1, i == 0 ? kTwelve : "",
                       measures[i]);
  return xml + "</part>";
}
std::string score_of(const std::string& parts, const std::string& list = "") {
  return "<?xml version='1.0'?><score-partwise>" + list + parts + "</score-partwise>";
}
std::string score(const std::vector<std::string>& measures) { return score_of(part(measures)); }

std::string quarters(midi::Ticks ticks, const Score& score) {
  const midi::Quarters q = midi::quarters(ticks, score.division);
  return q.below() == 1 ? fmt::format("{}", q.above()) : fmt::format("{}/{}", q.above(), q.below());
}

// Notes in order of track and onset as "60:0-1", in quarters; " | " between tracks.
std::string notes_of(const Score& score) {
  std::string text;
  for (size_t t = 0; t < score.tracks.size(); ++t) {
    if (t > 0) text += " | ";
    std::string line;
    const auto& events = score.tracks[t].events;
    for (size_t i = 0; i < events.size(); ++i) {
      if (!events[i].is_note_on()) continue;
      size_t off = i;
      while (!(events[off].is_note_off() && events[off].a == events[i].a &&
               events[off].channel == events[i].channel))
        ++off;
      line += fmt::format("{}{}:{}-{}", line.empty() ? "" : " ", events[i].a,
                          quarters(events[i].tick, score), quarters(events[off].tick, score));
    }
    text += line;
  }
  return text;
}
std::string notes(const std::string& xml) { return notes_of(parse(xml)); }

// The pitches alone, in order.
std::string tune(const std::vector<std::string>& measures) {
  std::string text;
  const Score read = parse(score(measures));
  for (const midi::Event& event : read.tracks[0].events)
    if (event.is_note_on()) text += fmt::format("{}{}", text.empty() ? "" : " ", event.a);
  return text;
}

std::string velocities(const std::string& xml) {
  std::string text;
  const Score read = parse(xml);
  for (const midi::Event& event : read.tracks[0].events)
    if (event.is_note_on()) text += fmt::format("{}{}", text.empty() ? "" : " ", event.b);
  return text;
}

// "quarters:bytes" of the meta events of a type in a track.
std::string metas(const Score& score, uint8_t type, size_t track = 0) {
  std::string text;
  for (const midi::Event& event : score.tracks[track].events) {
    if (!event.is_meta(type)) continue;
    text += (text.empty() ? "" : " ") + quarters(event.tick, score) + ":";
    if (type == midi::meta::set_tempo) {
      text += fmt::format("{}", midi::tempo_of(score, event));
      continue;
    }
    for (const uint8_t byte : score.bytes(event)) text += fmt::format("{:02x}", byte);
  }
  return text;
}

std::string failure(const std::string& xml) {
  try {
    parse(xml);
  } catch (const midi::Error& error) {
    return error.what();
  }
  return "no error";
}

bool told(const Score& score, size_t line, const std::string& what) {
  for (const midi::Finding& finding : score.found) {
    if (finding.place == line && contains(finding.what, what)) return true;
  }
  return false;
}

}  // namespace

// ---- layouts

TEST_CASE("a tune, part by part") {
  const Score read = parse(score({note("C4", 12) + note("F#4", 6) + rest(6) + note("Bb3", 24)}));
  CHECK(read.format == 1);
  CHECK(read.tracks.size() == 1);
  CHECK(read.division.ticks_per_quarter == 12);
  CHECK(notes_of(read) == "60:0-1 66:1-3/2 58:2-4");
  CHECK(read.end_tick() == midi::Ticks{48});
  CHECK(read.found.empty());
}

TEST_CASE("by time as by part") {
  const std::string list =
      "<part-list><score-part id='A'><part-name>Flute</part-name></score-part>"
      "<score-part id='B'><part-name>Cello</part-name></score-part></part-list>";
  const std::string one = note("C5", 24), two = note("D5", 24), low = note("C3", 24);
  const Score by_part = parse(score_of(part({one, two}, "A") + part({low, low}, "B"), list));
  const Score by_time =
      parse("<score-timewise>" + list + "<measure><part id='A'>" + kTwelve + one +
            "</part><part id='B'>" + kTwelve + low + "</part></measure><measure><part id='A'>" +
            two + "</part><part id='B'>" + low + "</part></measure></score-timewise>");
  CHECK(notes_of(by_part) == "72:0-2 74:2-4 | 48:0-2 48:2-4");
  CHECK(write_smf(by_part) == write_smf(by_time));
  CHECK(metas(by_part, midi::meta::track_name, 1) == "0:43656c6c6f");
}

TEST_CASE("a part that has no such measure, and measures of different lengths in two parts") {
  const std::string three = note("C4", 36), two = note("C3", 24);
  CHECK(notes(score_of(part({three, three}, "A") + part({two, two, two}, "B"))) ==
        "60:0-3 60:3-6 | 48:0-2 48:3-5 48:6-8");
}

TEST_CASE("a track for each staff of a part") {
  const std::string measure = note("E5", 48, voice(1) + staff(1)) + backup(48) +
                              note("C3", 24, voice(5) + staff(2)) +
                              note("G4", 24, voice(5) + staff(1));
  const Score read = parse(score_of(part({measure}),
                                    "<part-list><score-part id='P1'><part-name>"
                                    "Piano</part-name></score-part></part-list>"));
  CHECK(notes_of(read) == "76:0-4 67:2-4 | 48:0-2");
  CHECK(metas(read, midi::meta::track_name) == "0:5069616e6f2c2073746166662031");
  CHECK(read.tracks[0].events.back().is_meta(midi::meta::end_of_track));
}

// ---- notes

TEST_CASE("voices, backup and forward, chords") {
  CHECK(notes(score({note("C5", 12, voice(1)) + chord("E5", 12, voice(1)) + note("D5", 36) +
                     backup(48) + "<forward><duration>24</duration></forward>" +
                     note("C4", 24, voice(2))})) == "72:0-1 76:0-1 74:1-4 60:2-4");
}

TEST_CASE("ties: within a measure, across the barline, in chords, between voices and staves") {
  const std::string start = "<tie type='start'/>", stop = "<tie type='stop'/>";
  CHECK(notes(score({note("C4", 12) + note("C4", 36, start),
                     note("C4", 12, stop + start) + note("C4", 12, stop)})) == "60:0-1 60:1-6");
  CHECK(notes(score({note("C4", 24, start) + chord("E4", 24) + note("C4", 24, stop) +
                     chord("E4", 24)})) == "60:0-4 64:0-2 64:2-4");
  CHECK(notes(score({note("C4", 24, voice(1) + start) + note("C4", 24, voice(2) + stop)})) ==
        "60:0-4");
  CHECK(notes(score({note("C4", 24, voice(1) + staff(2) + start) +
                     note("C4", 24, voice(1) + staff(1) + stop)})) == " | 60:0-4");
  CHECK(notes(score({"<note>" + pitch("C4") +
                     "<duration>24</duration><notations><tied type='start'/></notations></note>" +
                     note("C4", 24, stop)})) == "60:0-4");
}

TEST_CASE("half ties") {
  const std::string start = "<tie type='start'/>", stop = "<tie type='stop'/>";
  const Score lone = parse(score({note("C4", 24), note("C4", 24, stop)}));
  CHECK(notes_of(lone) == "60:0-2 60:2-4");
  CHECK(told(lone, 1, "1 ties end without a start"));
  const Score open = parse(score({note("C4", 24, start) + note("D4", 12) + note("C4", 12, stop)}));
  CHECK(notes_of(open) == "60:0-2 62:2-3 60:3-4");
  const Score no_stop = parse(score({note("C4", 24, start), note("C4", 24)}));
  CHECK(notes_of(no_stop) == "60:0-4");
  CHECK(told(no_stop, 1, "1 ties begin without a stop"));
}

TEST_CASE("ties across a repeat's jump go to the note that follows in time") {
  const std::string start = "<tie type='start'/>", stop = "<tie type='stop'/>";
  CHECK(notes(score({note("C4", 12) + note("D4", 12, start),
                     ending("1", "start") + note("D4", 12, stop) + note("E4", 12) +
                         ending("1", "stop") + repeat("backward"),
                     ending("2", "start") + note("D4", 24, stop) + ending("2", "stop")})) ==
        "60:0-1 62:1-3 64:3-4 60:4-5 62:5-8");
  // What is tied over the end of a repeat leads nowhere the first time.
  CHECK(notes(score({note("C4", 12) + note("D4", 12, start) + repeat("backward"),
                     note("D4", 12, stop)})) == "60:0-1 62:1-2 60:2-3 62:3-5");
}

TEST_CASE("grace notes take time from the note that follows") {
  // Half of it in equal parts; two thirds of a dotted note; four sevenths of a double-dotted one.
  CHECK(notes(score({grace("D4") + note("C4", 12)})) == "62:0-1/2 60:1/2-1");
  CHECK(notes(score({grace("D4") + grace("E4") + grace("F4") + note("C4", 12)})) ==
        "62:0-1/6 64:1/6-1/3 65:1/3-1/2 60:1/2-1");
  CHECK(notes(score({grace("D4") + note("C4", 36, "<dot/>")})) == "62:0-2 60:2-3");
  CHECK(notes(score({grace("D4") + note("C4", 21, "<dot/><dot/>")})) == "62:0-1 60:1-7/4");
  // All of a chord waits, and graces may be chords; the other voice does not.
  CHECK(notes(score({grace("D4") + "<note><grace/><chord/>" + pitch("F4") + "</note>" +
                     note("C4", 24) + chord("E4", 24) + backup(24) + note("C3", 24, voice(2))})) ==
        "62:0-1 65:0-1 48:0-2 60:1-2 64:1-2");
}

TEST_CASE("slashed grace notes are 32nds, at most half of the note") {
  CHECK(notes(score({grace("D4", "slash='yes'") + note("C4", 12)})) == "62:0-1/8 60:1/8-1");
  CHECK(notes(score({grace("D4", "slash='yes'") + grace("E4", "slash='yes'") + note("C4", 3)})) ==
        "62:0-1/16 64:1/16-1/8 60:1/8-1/4");
}

TEST_CASE("grace notes that none follows take time from the note before") {
  const std::string after = "62:7/4-15/8 64:15/8-2";
  CHECK(notes(score({note("C4", 24) + grace("D4") + grace("E4")})) == "60:0-7/4 " + after);
  CHECK(notes(score({note("C4", 24) + grace("D4", "steal-time-previous='50'") + grace("E4") +
                     note("F4", 24)})) == "60:0-7/4 " + after + " 65:2-4");
  // A rest has no time to give, and what is tied from before is not struck again.
  CHECK(notes(score({note("C4", 24) + grace("D4") + grace("E4") + rest(24)})) ==
        "60:0-7/4 " + after);
  const Score alone = parse(score({grace("D4") + rest(48)}));
  CHECK(notes_of(alone).empty());
  CHECK(told(alone, 1, "no note beside them"));
}

TEST_CASE("cue notes are silent, unless an old MuseScore wrote the file") {
  const std::string measures =
      part({"<note><cue/>" + pitch("C4") + "<duration>24</duration></note>" + note("D4", 24)});
  const auto by = [&](const std::string& software) {
    return notes(score_of(measures, "<identification><encoding><software>" + software +
                                        "</software></encoding></identification>"));
  };
  CHECK(notes(score_of(measures)) == "62:2-4");
  CHECK(by("MuseScore 4.1.1") == "62:2-4");
  CHECK(by("Finale 2014") == "62:2-4");
  CHECK(by("MuseScore 2.3.2") == "60:0-2 62:2-4");
  CHECK(by("MuseScore 3.6") == "60:0-2 62:2-4");
}

TEST_CASE("two voices on one key") {
  // Struck at once: one note, the longer.
  CHECK(notes(score({note("C4", 48) + backup(48) + note("C4", 12, voice(2))})) == "60:0-4");
  // Struck while it sounds: cut there, and the second lasts as long as either.
  CHECK(notes(score({note("C4", 48) + backup(36) + note("C4", 12, voice(2))})) == "60:0-1 60:1-4");
}

TEST_CASE("alterations, transposition, octave shifts") {
  const auto altered = [](const std::string& alter) {
    return score({"<note><pitch><step>C</step><alter>" + alter +
                  "</alter><octave>4</octave></pitch><duration>12</duration></note>"});
  };
  CHECK(notes(altered("-2")) == "58:0-1");
  CHECK(notes(altered("0.5")) == "61:0-1");
  CHECK(notes(altered("-0.5")) == "59:0-1");
  CHECK(notes(altered("0.25")) == "60:0-1");
  CHECK(told(parse(altered("1.5")), 1, "between semitones"));
  const std::string clarinet =
      "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>";
  const std::string octave =
      "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change>"
      "</transpose>";
  CHECK(notes(score({attributes(clarinet) + note("D4", 12) + attributes(octave) +
                     note("C4", 12)})) == "60:0-1 48:1-2");
  CHECK(notes(score({attributes("<staves>2</staves><transpose number='2'><chromatic>-2</chromatic>"
                                "</transpose>") +
                     note("D4", 12) + note("D4", 12, staff(2))})) == "62:0-1 | 60:1-2");
  // <pitch> is what sounds.
  CHECK(notes(score({"<direction><direction-type><octave-shift type='down' size='8'/>"
                     "</direction-type></direction>" +
                     note("C6", 12)})) == "84:0-1");
}

TEST_CASE("percussion") {
  const std::string list =
      "<part-list><score-part id='P1'><part-name>Drums</part-name>"
      "<score-instrument id='Snare'/><score-instrument id='Kick'/>"
      "<midi-instrument id='Snare'><midi-unpitched>39</midi-unpitched></midi-instrument>"
      "<midi-instrument id='Kick'><midi-unpitched>36</midi-unpitched></midi-instrument>"
      "</score-part></part-list>";
  const auto hit = [](const std::string& instrument) {
    return "<note><unpitched><display-step>C</display-step><display-octave>5</display-octave>"
           "</unpitched><duration>12</duration><instrument id='" +
           instrument + "'/></note>";
  };
  const Score drums = parse(score_of(part({hit("Snare") + hit("Kick")}), list));
  CHECK(notes_of(drums) == "38:0-1 35:1-2");
  for (const midi::Event& event : drums.tracks[0].events)
    if (event.is_note_on()) CHECK(event.channel == 9);
  const Score none = parse(score({hit("Snare")}));
  CHECK(notes_of(none).empty());
  CHECK(told(none, 1, "midi-unpitched"));
}

TEST_CASE("hidden notes sound; ornaments, articulations and fermatas change nothing") {
  CHECK(notes(score({"<note print-object='no'>" + pitch("C4") + "<duration>12</duration></note>" +
                     note("D4", 12,
                          "<notations><ornaments><trill-mark/></ornaments><articulations>"
                          "<staccato/></articulations><fermata/><arpeggiate/></notations>")})) ==
        "60:0-1 62:1-2");
}

// ---- measures and ticks

TEST_CASE("measures are as long as what is in them") {
  const std::string four = attributes(time_of("4", 4));
  CHECK(notes(score({four + note("C4", 12), note("D4", 48), note("E4", 60), note("F4", 12)})) ==
        "60:0-1 62:1-5 64:5-10 65:10-11");
  // Nothing in it: the time signature holds.
  CHECK(notes(score({four, note("C4", 12)})) == "60:4-5");
}

TEST_CASE("a length that is off by rounding is the time signature's") {
  const std::string head =
      "<attributes><divisions>1024</divisions>" + time_of("2", 4) + "</attributes>";
  const Score longer = parse(score({head + note("C4", 2052), note("D4", 1024)}));
  CHECK(notes_of(longer) == "60:0-513/256 62:2-3");
  CHECK(told(longer, 1, "1/256 of a quarter note too long"));
  CHECK(notes(score({head + note("C4", 1878), note("D4", 1024)})) == "60:0-939/512 62:2-3");
  // A whole number of 64ths is meant.
  CHECK(notes(score({head + note("C4", 2048 + 64), note("D4", 1024)})) ==
        "60:0-33/16 62:33/16-49/16");
}

TEST_CASE("ticks are the common multiple of all divisions and of what grace notes need") {
  const auto with = [](int first, int second) {
    return parse(score_of("<part id='P1'><measure><attributes><divisions>" + std::to_string(first) +
                          "</divisions></attributes>" + note("C4", first) +
                          "<attributes><divisions>" + std::to_string(second) +
                          "</divisions></attributes>" + note("D4", 1) + "</measure></part>"));
  };
  CHECK(with(6, 4).division.ticks_per_quarter == 12);
  CHECK(notes_of(with(6, 4)) == "60:0-1 62:1-5/4");
  const Score rounded = with(10007, 10009);
  CHECK(rounded.division.ticks_per_quarter == 30240);
  CHECK(told(rounded, 1, "rounded"));
  const Score five = parse(
      score({grace("D4") + grace("E4") + grace("F4") + grace("G4") + grace("A4") + note("C4", 1)}));
  CHECK(five.division.ticks_per_quarter == 120);
  // 2^31 units are the finest: what has no place there is rounded on reading.
  CHECK(told(with(2147483647, 2147483629), 1, "without a usable common multiple"));
}

TEST_CASE("durations with decimal places") {
  CHECK(notes(score_of("<part><measure><attributes><divisions>0.5</divisions></attributes><note>" +
                       pitch("C4") + "<duration>0.25</duration></note><note>" + pitch("D4") +
                       "<duration>1.5</duration></note></measure></part>")) ==
        "60:0-1/2 62:1/2-7/2");
}

// ---- what else is played

TEST_CASE("tempo") {
  const auto metronome = [](const std::string& unit, const std::string& number) {
    return "<direction><direction-type><metronome><beat-unit>" + unit + "</beat-unit>" +
           "<per-minute>" + number + "</per-minute></metronome></direction-type></direction>";
  };
  const auto tempi = [](const std::string& measure) {
    return metas(parse(score({measure})), midi::meta::set_tempo);
  };
  CHECK(tempi(sound("tempo='90'") + note("C4", 12) + sound("tempo='60.5'") + note("C4", 12)) ==
        "0:666667 1:991736");
  CHECK(tempi(metronome("half", "60") + note("C4", 12)) == "0:500000");
  CHECK(tempi(metronome("quarter</beat-unit><beat-unit-dot/><beat-unit>", "40") + note("C4", 12)) ==
        "0:1000000");
  CHECK(tempi(metronome("eighth", "ca. 120") + note("C4", 12)) == "0:1000000");
  // What sounds goes before what is printed, and an offset moves it.
  CHECK(tempi("<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>50"
              "</per-minute></metronome></direction-type><offset sound='yes'>6</offset>"
              "<sound tempo='100'/></direction>" +
              note("C4", 12)) == "1/2:600000");
  CHECK(tempi(sound("tempo='0'") + sound("tempo='fast'") + note("C4", 12)) == "");
  CHECK(told(parse(score({sound("tempo='fast'")})), 1, "'fast'"));
  // Back to where a repeat begins, its tempo holds again.
  CHECK(metas(parse(score({sound("tempo='60'") + note("C4", 12), repeat("forward") + note("C4", 12),
                           sound("tempo='30'") + note("C4", 12) + repeat("backward")})),
              midi::meta::set_tempo) == "0:1000000 2:2000000 3:1000000 4:2000000");
}

TEST_CASE("time and key signatures") {
  const Score read =
      parse(score({attributes("<key><fifths>-3</fifths><mode>minor</mode></key>" + time_of("6", 8) +
                              "<staves>2</staves>") +
                       note("C4", 36),
                   attributes("<key number='2'><fifths>2</fifths></key>" + time_of("3+2", 16)) +
                       note("C4", 15)}));
  CHECK(metas(read, midi::meta::time_signature) == "0:06031808 3:05041808");
  CHECK(metas(read, midi::meta::key_signature, 0) == "0:fd01");
  CHECK(metas(read, midi::meta::key_signature, 1) == "0:fd01 3:0200");
  CHECK(metas(parse(score({attributes("<time><beats>2</beats><beat-type>4</beat-type>"
                                      "<beats>3</beats><beat-type>8</beat-type></time>") +
                           note("C4", 12)})),
              midi::meta::time_signature) == "0:07031808");
  const Score odd = parse(
      score({attributes(time_of("4", 3) + "<key><fifths>9</fifths></key>") + note("C4", 12)}));
  CHECK(metas(odd, midi::meta::time_signature) == "");
  CHECK(told(odd, 1, "time signature"));
  CHECK(told(odd, 1, "key signature"));
}

TEST_CASE("dynamics") {
  const auto mark = [](const std::string& name, const std::string& more = "") {
    return "<direction><direction-type><dynamics><" + name + "/></dynamics></direction-type>" +
           more + "</direction>";
  };
  const std::string c = note("C4", 12);
  CHECK(velocities(score({c + mark("pp") + c + c + mark("ff") + c})) == "80 33 33 112");
  CHECK(velocities(score({mark("p") + c + mark("sf") + c + c})) == "49 112 49");
  CHECK(velocities(score({mark("fp") + c + c})) == "96 49");
  CHECK(velocities(score(
            {mark("p", "<sound dynamics='50'/>") + c + sound("dynamics='100'") + c})) == "45 90");
  CHECK(velocities(score({"<note dynamics='120'>" + pitch("C4") + "<duration>12</duration></note>" +
                          c})) == "108 80");
  // A mark that is written after the notes of another voice holds for them as well.
  CHECK(velocities(score({c + c + backup(24) + "<forward><duration>12</duration></forward>" +
                          mark("ff")})) == "80 112");
  CHECK(velocities(score({mark("p") + c, c})) == "49 49");
  CHECK(velocities(score({"<note>" + pitch("C4") +
                          "<duration>12</duration><notations><dynamics>"
                          "<f/></dynamics></notations></note>" +
                          c})) == "96 96");
}

TEST_CASE("instruments: channels and programs") {
  const auto part_list = [](const std::string& instrument) {
    return "<part-list><score-part id='A'><part-name>A</part-name>" + instrument +
           "</score-part><score-part id='B'><part-name>B</part-name></score-part></part-list>";
  };
  const Score read = parse(score_of(
      part({note("C4", 12),
            "<sound><midi-instrument id='I'><midi-program>41</midi-program>"
            "</midi-instrument></sound>" +
                note("C4", 12)},
           "A") +
          part({note("C3", 12)}, "B"),
      part_list("<score-instrument id='I'/><midi-instrument id='I'><midi-channel>3</midi-channel>"
                "<midi-program>7</midi-program></midi-instrument>")));
  const auto instruments = midi::instruments(read);
  REQUIRE(instruments.size() == 3);
  CHECK(instruments[0].program == 6);
  CHECK(instruments[0].channel == 2);
  CHECK(instruments[1].program == 40);
  CHECK(instruments[2].channel == 0);
  std::string parts;
  for (int i = 0; i < 17; ++i) parts += part({note("C4", 12)}, "P" + std::to_string(i));
  CHECK(told(parse(score_of(parts)), 1, "channels are shared"));
}

// ---- the order of measures

TEST_CASE("repeats") {
  const std::string c = note("C4", 12), d = note("D4", 12), e = note("E4", 12);
  CHECK(tune({c, repeat("forward") + d, e + repeat("backward"), c}) == "60 62 64 62 64 60");
  CHECK(tune({c, d + repeat("backward"), e}) == "60 62 60 62 64");
  CHECK(tune({c + repeat("backward", "times='4'"), d}) == "60 60 60 60 62");
  CHECK(tune({c + repeat("backward"), d + repeat("backward"), e}) == "60 60 62 62 64");
  CHECK(tune({repeat("forward") + c + repeat("backward", "times='1'"), d}) == "60 62");
  CHECK(tune({c, sound("forward-repeat='yes'") + d, e + repeat("backward")}) == "60 62 64 62 64");
}

TEST_CASE("endings") {
  const std::string c = note("C4", 12), d = note("D4", 12), e = note("E4", 12), f = note("F4", 12);
  const std::string back = repeat("backward");
  CHECK(tune({c, ending("1", "start") + d + ending("1", "stop") + back,
              ending("2", "start") + e + ending("2", "discontinue"), f}) == "60 62 60 64 65");
  CHECK(tune({c, ending("1, 2", "start") + d + ending("1, 2", "stop") + back,
              ending("3", "start") + e + ending("3", "stop"), f}) == "60 62 60 62 60 64 65");
  CHECK(tune({c, ending("1", "start") + d, d + ending("1", "stop") + back,
              ending("2", "start") + e + ending("2", "stop") + back, f}) == "60 62 62 60 64 65");
  // A first ending without a second; sections after endings begin anew.
  CHECK(tune({c, ending("1", "start") + d + ending("1", "stop") + back, e, f}) == "60 62 60 64 65");
  CHECK(tune({c, ending("1", "start") + d + ending("1", "stop") + back,
              ending("2", "start") + e + ending("2", "stop"), f + back, c}) ==
        "60 62 60 64 65 65 60");
  CHECK(told(parse(score({ending("", "start") + c})), 1, "an ending without a number"));
}

TEST_CASE("da capo, dal segno, coda, fine") {
  const std::string c = note("C4", 12), d = note("D4", 12), e = note("E4", 12), f = note("F4", 12);
  CHECK(tune({c, d + sound("fine='yes'"), e + sound("dacapo='yes'")}) == "60 62 64 60 62");
  CHECK(tune({c, sound("segno='A'") + d, e + sound("dalsegno='A'"), f}) == "60 62 64 62 64 65");
  CHECK(tune({c + sound("tocoda='X'"), d + sound("dacapo='yes'"), sound("coda='X'") + e}) ==
        "60 62 60 64");
  // Repeats are not taken again, and the last endings are played.
  CHECK(tune({c + repeat("backward"), d + sound("dacapo='yes'"), e}) == "60 60 62 60 62 64");
  CHECK(tune({c, ending("1", "start") + d + ending("1", "stop") + repeat("backward"),
              ending("2", "start") + e + ending("2", "stop"), f + sound("dacapo='yes'")}) ==
        "60 62 60 64 65 60 64 65");
  CHECK(told(parse(score({c + sound("dalsegno='A'")})), 1, "without a segno"));
  CHECK(tune({c, "<direction><direction-type><segno/></direction-type></direction>" + d,
              e + sound("dalsegno=''")}) == "60 62 64 62 64");
}

TEST_CASE("after a jump what held there holds again") {
  const Score read =
      parse(score({attributes("<key><fifths>1</fifths></key>" + time_of("2", 4)) + note("C4", 24),
                   repeat("forward") + note("C4", 24),
                   attributes("<key><fifths>2</fifths></key>" + time_of("3", 4)) + note("D4", 36) +
                       repeat("backward")}));
  CHECK(metas(read, midi::meta::time_signature) == "0:02021808 4:03021808 7:02021808 9:03021808");
  CHECK(metas(read, midi::meta::key_signature) == "0:0100 4:0200 7:0100 9:0200");
}

// ---- bytes

TEST_CASE("encodings") {
  const auto named = [](const std::string& name, const std::string& declaration) {
    return "<?xml version='1.0'" + declaration +
           "?>\n<score-partwise><part-list><score-part id='P1'>" +
           ("<part-name>" + name + "</part-name></score-part></part-list>") +
           part({note("C4", 12)}) + "</score-partwise>";
  };
  const std::string utf8 = named("Gr\xC3\xBC\xC3\x9F\xF0\x9D\x84\x9E", "");
  const std::string expected = "0:4772c3bcc39ff09d849e";
  CHECK(metas(parse(utf8), midi::meta::track_name) == expected);
  CHECK(metas(parse("\xEF\xBB\xBF" + utf8), midi::meta::track_name) == expected);
  CHECK(metas(parse(named("Gr\xFC\xDF", " encoding='ISO-8859-1'")), midi::meta::track_name) ==
        "0:4772c3bcc39f");
  for (const bool big : {true, false}) {
    Bytes wide = big ? Bytes{0xFE, 0xFF} : Bytes{0xFF, 0xFE};
    const auto put = [&](unsigned unit) {
      const auto high = static_cast<uint8_t>(unit >> 8), low = static_cast<uint8_t>(unit & 0xFF);
      wide.push_back(big ? high : low);
      wide.push_back(big ? low : high);
    };
    for (const char c : named("Gr@", " encoding='UTF-16'")) {
      if (c != '@') {
        put(static_cast<uint8_t>(c));
        continue;
      }
      for (const unsigned unit : {0xFCu, 0xDFu, 0xD834u, 0xDD1Eu}) put(unit);
    }
    CHECK(metas(midi::parse_musicxml(wide, "x"), midi::meta::track_name) == expected);
    wide.pop_back();
    CHECK_THROWS_WITH_AS(midi::parse_musicxml(wide, "x"),
                         "x: line 2: UTF-16 with half a character at its end", midi::Error);
  }
  CHECK(told(parse(named("A", " encoding='KOI8-R'")), 1, "encoding 'koi8-r' read as UTF-8"));
  const Score windows = parse(named("Gr\xFC\xDF", " encoding='Windows-1252'"));
  CHECK(metas(windows, midi::meta::track_name) == "0:4772c3bcc39f");
  CHECK(told(windows, 1, "encoding 'windows-1252' read as ISO 8859-1"));
  for (const Bytes& start : {Bytes{0, '<', 0, '?'}, Bytes{'<', 0, '?', 0}}) {
    CHECK_THROWS_WITH_AS(midi::parse_score(start, "x"),
                         "x: line 1: UTF-16 without a byte order mark is not read", midi::Error);
  }
}

TEST_CASE("a DOCTYPE is passed over, with its entities") {
  const std::string body = "\n<score-partwise>" + part({note("C4", 12)}) + "</score-partwise>";
  const std::string bomb =
      "<?xml version='1.0'?>\n<!-- <!DOCTYPE no --><!DOCTYPE score-partwise PUBLIC \"a>b\" 'c' [\n"
      "<!ENTITY a \"]>\"> <!-- ']' -->\n<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>\n]>";
  CHECK(notes(bomb + body) == "60:0-1");
  CHECK(notes("<!-->\n<!DOCTYPE a [--><?b <!DOCTYPE?><!DOCTYPE a [<!--> ' --> <?c ' ]>?>]>" +
              body) == "60:0-1");
  CHECK(failure(bomb + "\n<score-partwise>\n<part><measure>\n<note/></measure></part>"
                       "</score-partwise>") ==
        "x.musicxml: line 8: a note without pitch, rest or unpitched");
  CHECK(failure("<!DOCTYPE a [") == "x.musicxml: line 1: the DOCTYPE does not end");
}

TEST_CASE("processing instructions are passed over, wherever they stand") {
  const std::string body =
      "<?a b?>\n<score-partwise><!-- <? --><?SmartMusic\nmaxVoice=1?><part><measure>" + kTwelve +
      "<?xml-model x?><note><pitch><step>C</step><![CDATA[<?]]><octave><?in text?>4</octave>"
      "</pitch><duration>12</duration><?b?></note></measure></part></score-partwise><?c?>";
  CHECK(notes(body) == "60:0-1");
  CHECK(notes("<?xml version='1.0'?>" + body) == "60:0-1");
  CHECK(contains(failure("<score-partwise>\n<?xml version='1.0'?></score-partwise>"), "line 2: "));
  CHECK(failure("<score-partwise>\n<?a</score-partwise>") ==
        "x.musicxml: line 2: not well-formed XML: a processing instruction that does not end");
  CHECK(contains(failure("<score-partwise><?></score-partwise>"), "instruction that does not end"));
}

TEST_CASE("a text in pieces is one") {
  for (const char* twelve : {"1<!-- - -->2", "1<?a?>2", "1<![CDATA[2]]>", "<![CDATA[12]]>",
                             "<!-->-->12", "<?a <!-- ?>12", "<!-- <![CDATA[ -->12"}) {
    INFO(twelve);
    CHECK(notes(score({fmt::format("<note><pitch><step>C</step><octave>4</octave></pitch>"
                                   "<duration>{}</duration></note>",
                                   twelve)})) == "60:0-1");
  }
}

TEST_CASE("compressed") {
  const std::string xml = score({note("C4", 12)});
  const auto pack = [&](const std::string& container) {
    const Bytes a = bytes_of(container), b = bytes_of(xml);
    return midi::write_archive(
        std::vector<midi::NewArchiveEntry>{{"META-INF/container.xml", a}, {"scores/one.xml", b}});
  };
  const std::string good =
      "<?xml version='1.0'?><container><rootfiles><rootfile full-path='x.pdf' "
      "media-type='application/pdf'/><rootfile "
      "full-path='scores/one.xml'/></rootfiles></container>";
  CHECK(notes_of(midi::parse_mxl(pack(good), "x.mxl")) == "60:0-1");
  CHECK_THROWS_WITH_AS(midi::parse_mxl(pack("<container/>"), "x.mxl"),
                       "x.mxl: META-INF/container.xml: it names no MusicXML file", midi::Error);
  CHECK_THROWS_AS(midi::parse_mxl(pack("<container><rootfiles><rootfile full-path='no.xml'/>"
                                       "</rootfiles></container>"),
                                  "x.mxl"),
                  midi::Error);
  CHECK_THROWS_AS(midi::parse_mxl(bytes_of(xml), "x.mxl"), midi::Error);
  const auto one = [&](const std::string& text) {
    const Bytes a = bytes_of(good), b = bytes_of(text);
    return midi::write_archive(
        std::vector<midi::NewArchiveEntry>{{"META-INF/container.xml", a}, {"scores/one.xml", b}});
  };
  CHECK(midi::parse_mxl(one(xml), "x.mxl").name == "x.mxl");
  CHECK_THROWS_WITH_AS(midi::parse_mxl(one("<html/>"), "x.mxl"),
                       "x.mxl: scores/one.xml: line 1: not MusicXML: it begins with <html>",
                       midi::Error);
  // Beyond a mebibyte, a hundred times the archive.
  const auto padded = [&](size_t bytes) { return one(xml + std::string(bytes - xml.size(), ' ')); };
  CHECK(notes_of(midi::parse_mxl(padded(size_t{1} << 20), "x.mxl")) == "60:0-1");
  CHECK_THROWS_WITH_AS(midi::parse_mxl(padded((size_t{1} << 20) + 1), "x.mxl"),
                       "x.mxl: scores/one.xml: 1048577 bytes, more than 1048576 are not unpacked",
                       midi::LimitError);
}

// ---- faults

TEST_CASE("faults name the file, the line and the reason") {
  const std::string head = "<score-partwise>\n<part>\n<measure>\n";
  const std::string tail = "\n</measure></part></score-partwise>";
  const auto in_measure = [&](const std::string& xml) { return failure(head + xml + tail); };
  const std::string at = "x.musicxml: line 4: ";
  CHECK(failure("") == "x.musicxml: line 1: the file is empty");
  CHECK(failure("<html/>") == "x.musicxml: line 1: not MusicXML: it begins with <html>");
  CHECK(failure("<score-partwise/>") == "x.musicxml: line 1: no part in the score");
  CHECK(failure(std::string("<a>\n\0</a>", 9)) ==
        "x.musicxml: line 2: a zero byte, which no XML has");
  const auto malformed = [](const std::string& xml, const std::string& why) {
    CHECK(failure(xml) == "x.musicxml: line 2: not well-formed XML: " + why);
  };
  malformed("<score-partwise>\n<part>\n</score-partwise>",
            "an element without its end tag, or the end tag of another");
  malformed("<a>\n<b", "a tag that does not end, or without a name");
  malformed("<a>\n<b c=d/></a>", "an attribute without a quoted value, or there twice");
  malformed("<a>\n<b c='d' c='e'/></a>", "an attribute without a quoted value, or there twice");
  malformed("<a>\n<![CDATA[ </a>", "a CDATA section that does not end");
  malformed("<a>\n<!-- </a>", "a comment that does not end");
  malformed("<a>\n<? </a>", "a processing instruction that does not end");
  malformed("<a>\n<?xml a?></a>", "an XML declaration that does not end, or out of place");
  malformed("<a/>\n<?xml a", "an XML declaration that does not end, or out of place");
  malformed("<a>\n<! ", "markup that does not end");
  CHECK(in_measure("<note><rest/></note>") == at + "<note> without a duration");
  CHECK(in_measure("<note><rest/><duration>1x</duration></note>") ==
        at + "<duration> is '1x', no number that is read");
  CHECK(in_measure("<note><rest/><duration>-3</duration></note>") == at + "a duration below 0");
  CHECK(in_measure("<attributes><divisions>0</divisions></attributes>") ==
        at + "<divisions> is not above 0");
  CHECK(in_measure("<note><pitch><step>H</step><octave>4</octave></pitch><duration>1</duration>"
                   "</note>") == at + "the step 'H' is none of A..G");
  CHECK(in_measure("<note><pitch><step>C</step><octave>x</octave></pitch><duration>1</duration>"
                   "</note>") == at + "the octave 'x' is none of -2..10");
  CHECK(in_measure("<note><rest/><duration>1</duration><staff>99</staff></note>") ==
        at + "a staff that is none of 1..64");
  CHECK(in_measure(repeat("backward", "times='0'")) == at + "a repeat of '0' times, not 1..1000");
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "<a>";
  CHECK(failure(deep) == "x.musicxml: line 1: elements nested too deep");
}

TEST_CASE("what is mended or left out is told") {
  const Score missing = parse("<score-partwise><part><measure>\n<note>" + pitch("C4") +
                              "<duration>2</duration></note></measure></part></score-partwise>");
  CHECK(notes_of(missing) == "60:0-2");
  CHECK(told(missing, 2, "no <divisions>"));
  CHECK(std::string(missing.place_unit) == "line");
  CHECK(told(parse(score({"<note><pitch><step>C</step><octave>10</octave></pitch>"
                          "<duration>1</duration></note>"})),
             1, "pitch 132"));
  CHECK(told(parse(score({note("C4", 0)})), 1, "without duration"));
  CHECK(notes(score({note("C4", 12) + backup(99) + note("D4", 12)})) == "60:0-1 62:0-1");
  std::string many;
  for (int i = 0; i < 300; ++i) many += note("C4", 0);
  CHECK(parse(score({many})).found.size() == midi::kMaxFindings);
}

TEST_CASE("strict reading refuses what else is told; recovering is tolerant reading") {
  const auto read = [](const std::string& xml, midi::Reading reading) {
    return midi::parse_score(bytes_of(xml), "x", reading);
  };
  const std::string sound_xml = score({note("C4", 12)});
  CHECK(notes_of(read(sound_xml, midi::Reading::strict)) == "60:0-1");
  const std::string mended =
      "<?xml version='1.0'?>\n" + score({note("C4", 12), "\n" + note("D4", 0), note("E4", 0)});
  CHECK_THROWS_WITH_AS(read(mended, midi::Reading::strict),
                       "x: line 3: a note without duration passed over", midi::Error);
  CHECK(read(mended, midi::Reading::recover).found.size() == 2);
  CHECK(read(mended, midi::Reading::tolerant).found.size() == 2);
  const Bytes container =
      bytes_of("<container><rootfiles><rootfile full-path='a.xml'/></rootfiles></container>");
  const Bytes inside = bytes_of(mended);
  const Bytes archive = midi::write_archive(
      std::vector<midi::NewArchiveEntry>{{"META-INF/container.xml", container}, {"a.xml", inside}});
  CHECK_THROWS_WITH_AS(midi::parse_score(archive, "x", midi::Reading::strict),
                       "x: a.xml: line 3: a note without duration passed over", midi::Error);
  CHECK(midi::parse_score(archive, "x", midi::Reading::recover).found.size() == 2);
}

TEST_CASE("limits") {
  const auto limit = [](const std::string& xml, const std::string& part) {
    try {
      parse(xml);
      FAIL_CHECK("no limit: " << part);
    } catch (const midi::LimitError& error) {
      CHECK(contains(error.what(), part));
    }
  };
  // A thousand times a thousand notes, and then as many times again.
  std::string many;
  for (int i = 0; i < 1000; ++i) many += note("C4", 1);
  limit(score({many + repeat("backward", "times='1000'"), many + repeat("backward", "times='1000'"),
               many + repeat("backward", "times='1000'")}),
        "events with repeats written out");
  std::string voices;
  for (int i = 0; i <= 20'000; ++i) voices += rest(1, voice(i));
  limit(score({voices}), "20000 notes in a measure");
  std::string instruments;
  for (int i = 0; i <= 1000; ++i) instruments += fmt::format("<score-instrument id='{}'/>", i);
  limit(score_of(part({note("C4", 1)}),
                 "<part-list><score-part id='P1'>" + instruments + "</score-part></part-list>"),
        "1000 instruments");
  limit(score({note("C4", 999'999'999)}), "1048576 quarter notes");
  limit(score({note("C4", 12'000'000) + repeat("backward", "times='2'"), note("C4", 12'000'000)}),
        "1048576 quarter notes");
  std::string tags = "<a>\n";
  for (size_t i = 0; i < midi::kMaxNodes; ++i) tags += "<b/>";
  limit(tags, "line 2: more than 3145728 elements, attributes and texts");
  limit(std::string(midi::kMaxFileBytes + 1, ' '), "bytes");
  CHECK(contains(failure(score({note("C4", 12),
                                "<note><rest/><duration>99999999999999</duration>"
                                "</note>"})),
                 "no number that is read"));
}

namespace {

// With a bit of everything that is read.
std::string sample() {
  return "<?xml version='1.0' encoding='UTF-8'?>\n<!DOCTYPE score-partwise SYSTEM 'x.dtd'>\n" +
         score_of(part({attributes(time_of("3", 4) +
                                   "<key><fifths>-2</fifths></key><staves>2</staves>") +
                            repeat("forward") + sound("tempo='90'") + grace("D5", "slash='yes'") +
                            note("C5", 12, voice(1) + staff(1) + "<tie type='start'/>") +
                            chord("E5", 12, voice(1) + staff(1)) + rest(24, voice(1)) + backup(36) +
                            note("C3", 36, voice(2) + staff(2)),
                        ending("1", "start") + note("C5", 12, "<tie type='stop'/>") +
                            "<direction><direction-type><dynamics><f/></dynamics></direction-type>"
                            "<offset sound='yes'>-6</offset></direction>" +
                            ending("1", "stop") + repeat("backward"),
                        ending("2", "start") + sound("dacapo='yes'") + note("Bb4", 36) +
                            ending("2", "stop")}),
                  "<part-list><score-part id='P1'><part-name>&lt;P&#233;&gt;</part-name>"
                  "<midi-instrument id='I'><midi-program>3</midi-program></midi-instrument>"
                  "</score-part></part-list>");
}

// Reads or is refused with one line; what is read can be written and read again.
void survives(const Bytes& bytes) {
  try {
    const Score read = midi::parse_musicxml(bytes, "x");
    const Score again = midi::parse_smf(midi::write_smf(read), "x.mid");
    CHECK(again.note_ons() == read.note_ons());
  } catch (const midi::Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    CHECK(error.why.starts_with("line "));
  }
}

}  // namespace

TEST_CASE("no truncation crashes") {
  const std::string whole = sample();
  CHECK(notes(whole) ==
        "74:0-1/8 72:1/8-1 76:1/8-1 72:3-4 74:4-33/8 72:33/8-5 76:33/8-5 70:7-10 "
        "74:10-81/8 72:81/8-11 76:81/8-11 70:13-16 | 48:0-3 48:4-7 48:10-13");
  for (size_t length = 0; length < whole.size(); ++length)
    survives(bytes_of(whole.substr(0, length)));
}

TEST_CASE("no mutation crashes") {
  const Bytes whole = bytes_of(sample());
  const std::string pieces[] = {"0",  "9999999999", "-1",   "<chord/>", "<grace/>", "2147483648",
                                "1.", "'",          "<!--", "]]>",      "&#0;",     "times='999'"};
  std::mt19937_64 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (int i = 0; i < 4000; ++i) {
    Bytes bytes = whole;
    for (size_t k = 1 + below(3); k > 0; --k) {
      const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size()));
      if (below(3) == 0) {
        *at = static_cast<uint8_t>(random());
      } else if (below(2) == 0) {
        bytes.erase(at, at + static_cast<std::ptrdiff_t>(
                                 below(static_cast<size_t>(bytes.end() - at)) % 20));
      } else {
        const std::string& piece = pieces[below(std::size(pieces))];
        bytes.insert(at, piece.begin(), piece.end());
      }
    }
    survives(bytes);
  }
}
