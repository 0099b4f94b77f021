#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/findings.h"
#include "apps/messages.h"
#include "apps/reading_options.h"
#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/key.h"
#include "midi/meta_events.h"
#include "midi/score_file.h"
#include "midi/tempo.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  etude info piece.mid                 what the file holds
  etude info *.mid                     a broken one gets its line, the others are reported
  etude info --json piece.mid | jq .   one line of JSON a file
  etude info --strict piece.mid        refused if it is not what the specification says
  etude info --recover cut.mid         what can be read of a damaged file)";

struct Options {
  std::vector<std::string> files;
  bool json = false;
  ReadingOptions reading;
};

int64_t tempo_events(const midi::Score& score) {
  int64_t count = 0;
  for (const midi::Track& track : score.tracks) {
    count += std::ranges::count_if(
        track.events, [&](const midi::Event& event) { return midi::tempo_of(score, event) != 0; });
  }
  return count;
}

// What holds at tick 0.
struct Beginning {
  std::optional<double> quarters_per_minute = 120;  // none in SMPTE time
  std::string meter = "4/4", key;                   // the key may be unsaid
};

Beginning beginning_of(const midi::Score& score) {
  Beginning beginning;
  if (score.division.smpte()) beginning.quarters_per_minute.reset();
  for (const midi::Track& track : score.tracks) {
    for (const midi::Event& event : track.events) {
      if (event.tick > midi::Ticks{}) break;
      if (const int tempo = midi::tempo_of(score, event); tempo && !score.division.smpte())
        beginning.quarters_per_minute = 6e7 / tempo;
      if (const auto meter = midi::meter_of(score, event))
        beginning.meter = fmt::format("{}/{}", meter->beats, meter->beat_type);
      if (const auto key = midi::key_of(score, event)) beginning.key = midi::name_of(*key);
    }
    if (score.format == 2) break;  // the others are pieces of their own
  }
  return beginning;
}

std::string in_words(std::optional<double> quarters_per_minute) {
  if (!quarters_per_minute) return {};
  return fmt::format(", {:.{}f} quarter notes a minute", *quarters_per_minute,
                     *quarters_per_minute == std::round(*quarters_per_minute) ? 0 : 1);
}

// In quotes, cut at `limit` bytes or a little before.
std::string in_quotes(const std::string& name, size_t limit = 80) {
  if (name.size() <= limit) return fmt::format("\"{}\"", name);
  while ((name[limit] & 0xC0) == 0x80) --limit;  // within a character of UTF-8
  return fmt::format("\"{}...\"", name.substr(0, limit));
}

struct TrackNotes {
  size_t track;
  std::string name;
  int64_t notes = 0;
  int lowest = 127, highest = 0;
  std::vector<std::string> instruments = {};  // families, in the order of their first notes
};

// The tracks that have notes.
std::vector<TrackNotes> track_notes(const midi::Score& score) {
  std::vector<TrackNotes> all;
  for (size_t i = 0; i < score.tracks.size(); ++i) {
    TrackNotes track{i, midi::name_of_track(score, i)};
    std::array<int, 16> programs{};
    for (const midi::Event& event : score.tracks[i].events) {
      if (event.kind == midi::EventKind::program) programs[event.channel] = event.a;
      if (!event.is_note_on()) continue;
      ++track.notes;
      track.lowest = std::min<int>(track.lowest, event.a);
      track.highest = std::max<int>(track.highest, event.a);
      const char* family = midi::instrument_family(programs[event.channel], event.channel);
      if (std::ranges::find(track.instruments, family) == track.instruments.end())
        track.instruments.emplace_back(family);
    }
    if (track.notes > 0) all.push_back(std::move(track));
  }
  return all;
}

std::vector<std::string> findings(const midi::Score& score) {
  std::vector<std::string> lines;
  for (const auto& list : {score.found, midi::doubtful_notes(score)}) {
    for (const midi::Finding& finding : list) lines.push_back(finding_line(score, finding));
  }
  return lines;
}

std::string json_line(const midi::Score& score) {
  const auto times = midi::end_times(score);
  const midi::Division& division = score.division;
  Json json;
  json["file"] = score.name;
  json["format"] = score.format;
  if (division.smpte()) {
    json["division"] = {{"type", "smpte"},
                        {"frames_per_second_code", division.frame_code},
                        {"ticks_per_frame", division.ticks_per_frame},
                        {"ticks_per_second", division.ticks_per_second()}};
  } else {
    json["division"] = {{"type", "ppq"}, {"ticks_per_quarter", division.ticks_per_quarter}};
  }
  json["tracks_declared"] = score.tracks_declared;
  json["tracks"] = score.tracks.size();
  json["notes"] = score.note_ons();
  json["tempo_changes"] = tempo_events(score);
  const Beginning beginning = beginning_of(score);
  const auto tempo = beginning.quarters_per_minute;
  json["begins"] = {{"quarters_per_minute", tempo ? Json(*tempo) : Json()},
                    {"meter", beginning.meter},
                    {"key", beginning.key.empty() ? Json() : Json(beginning.key)}};
  json["tracks_with_notes"] = Json::array();
  for (const TrackNotes& track : track_notes(score)) {
    json["tracks_with_notes"].push_back({{"track", track.track},
                                         {"name", track.name},
                                         {"notes", track.notes},
                                         {"lowest", track.lowest},
                                         {"highest", track.highest},
                                         {"instruments", track.instruments}});
  }
  json["end_tick"] = score.end_tick().count;
  json["end_time_s"] = times.last_event.count;
  if (times.last_event_by_first_track != times.last_event) {
    json["end_time_s_alt"] = times.last_event_by_first_track.count;
  }
  json["last_note_off_s"] = times.last_note_off.count;
  json["found"] = findings(score);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string text(const midi::Score& score) {
  const auto times = midi::end_times(score);
  const midi::Division& division = score.division;
  std::string out = fmt::format("{}\n  format {}, ", score.name, score.format);
  if (division.smpte()) {
    out += fmt::format("{} ticks in each of {} frames a second (SMPTE)", division.ticks_per_frame,
                       division.frame_code == 29 ? "29.97" : std::to_string(division.frame_code));
  } else {
    out += many(division.ticks_per_quarter, "tick") + " a quarter note";
  }
  out += fmt::format(", {}", many(score.tracks.size(), "track"));
  if (score.tracks.size() != static_cast<size_t>(score.tracks_declared)) {
    out += fmt::format(" ({} declared)", score.tracks_declared);
  }
  const Beginning beginning = beginning_of(score);
  out += fmt::format("\n  {}, {}\n", many(score.note_ons(), "note"),
                     many(tempo_events(score), "tempo change"));
  out += fmt::format("  begins in {}{}{}{}\n", beginning.meter, beginning.key.empty() ? "" : ", ",
                     beginning.key, in_words(beginning.quarters_per_minute));
  out += fmt::format("  ends at {:.3f} s (tick {}), last note-off at {:.3f} s\n",
                     times.last_event.count, score.end_tick().count, times.last_note_off.count);
  if (times.last_event_by_first_track != times.last_event) {
    out += fmt::format("  {:.3f} s by the tempo changes of the first track alone\n",
                       times.last_event_by_first_track.count);
  }
  for (const TrackNotes& track : track_notes(score)) {
    out += fmt::format("  track {}{}: {}, pitches {} to {}, {}\n", track.track,
                       track.name.empty() ? "" : " " + in_quotes(track.name),
                       many(track.notes, "note"), track.lowest, track.highest,
                       fmt::join(track.instruments, ", "));
  }
  for (const std::string& line : findings(score)) out += fmt::format("  {}\n", line);
  return out;
}

// A broken file costs its own report only. Its error is told at once, but the last one's is left to
// main, which makes it the exit status.
void run(const Options& options) {
  std::unique_ptr<midi::Error> last;
  for (const std::string& file : options.files) {
    try {
      const auto score = read_score(file, options.reading);
      const std::string report = options.json ? json_line(score) : text(score);
      std::fwrite(report.data(), 1, report.size(), stdout);
    } catch (const midi::Error& error) {
      if (last) tell_line(last->what());
      last = std::make_unique<midi::Error>(error);
    }
  }
  if (last) throw midi::Error(*last);
}

}  // namespace

void add_info(CLI::App& program) {
  auto* command = program.add_subcommand(
      "info", "What a MIDI or MusicXML file holds: tracks, notes, tempo, length");
  command->footer(kExamples);
  const auto options = std::make_shared<Options>();
  command->add_option("FILE", options->files, "MIDI or MusicXML files")->required();
  command->add_flag("--json", options->json, "One line of JSON a file");
  add_reading_options(*command, options->reading);
  command->callback([options] { run(*options); });
}

}  // namespace etude::apps
