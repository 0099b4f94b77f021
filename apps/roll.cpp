#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/findings.h"
#include "apps/messages.h"
#include "apps/reading_options.h"
#include "apps/report/roll_svg.h"
#include "engine/atomic_file.h"
#include "midi/piano_roll.h"
#include "midi/score_file.h"

namespace etude::apps {
namespace {

constexpr const char* kExamples = R"(Examples:
  etude roll piece.mid                      what sounds in each fifth of a second, as MIDI pitches
  etude roll piece.mid --fs 10 --pedal off  ten columns a second, the sustain pedal ignored
  etude roll piece.mid --svg piece.svg      the same as a picture)";

struct Options {
  std::string file;
  RollOverrides roll;
  ReadingOptions reading;
  std::string svg;
};

void run(const Options& options) {
  const auto score = read_score(options.file, options.reading);
  tell_findings(score);
  const auto roll = midi::make_piano_roll(score, options.roll.over({}));
  if (options.svg.empty()) {
    const std::string text = midi::roll_text(roll);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return;
  }
  const std::string title = std::filesystem::path(options.file).stem().string();
  write_file(options.svg, report::roll_svg(roll, title));
  tell_line(fmt::format("{}: {} drawn", options.svg, many(roll.columns(), "column")));
}

}  // namespace

void add_roll(CLI::App& program) {
  auto* command =
      program.add_subcommand("roll", "A MIDI or MusicXML file as a piano roll: text or a picture");
  command->footer(kExamples);
  const auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "MIDI or MusicXML file")->required();
  add_roll_overrides(*command, options->roll, "5", "compat");
  command->add_option("--svg", options->svg, "Write a picture to this file, instead of the text");
  add_reading_options(*command, options->reading);
  command->callback([options] { run(*options); });
}

}  // namespace etude::apps
