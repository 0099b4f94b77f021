#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/findings.h"
#include "apps/messages.h"
#include "apps/reading_options.h"
#include "midi/error.h"
#include "midi/instrument.h"
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
  out += fmt::format("\n  {}, {}\n  ends at {:.3f} s (tick {}), last note-off at {:.3f} s\n",
                     many(score.note_ons(), "note"), many(tempo_events(score), "tempo change"),
                     times.last_event.count, score.end_tick().count, times.last_note_off.count);
  if (times.last_event_by_first_track != times.last_event) {
    out += fmt::format("  {:.3f} s by the tempo changes of the first track alone\n",
                       times.last_event_by_first_track.count);
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
      const auto score = midi::read_score(file, options.reading.reading());
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
