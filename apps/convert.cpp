#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/findings.h"
#include "apps/messages.h"
#include "apps/reading_options.h"
#include "apps/report/roll_svg.h"
#include "midi/bars.h"
#include "midi/error.h"
#include "midi/files.h"
#include "midi/piano_roll.h"
#include "midi/quantise.h"
#include "midi/score_file.h"

namespace etude::apps {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    R"(IN is a MIDI or a MusicXML file, whatever its name. OUT is, by its name:
  .mid .midi      MIDI: with --grid the notes on it, else every event as it stands
  .musicxml .xml  MusicXML: bars, staves, voices, for notation programs
  .mxl            the same, compressed
  .txt .svg       a piano roll as text or picture, as `etude roll` has it

Examples:
  etude convert piece.mid piece.musicxml            laid on a grid: docs/midi.md
  etude convert piece.mid piece.mxl --grid 12       sixteenths and triplets of eighths
  etude convert performance.mid score.mxl --pedal extend --title "Prelude"
  etude convert score.mxl piece.mid)";

struct Options {
  fs::path in, out;
  std::string grid;
  RollOverrides roll;
  ReadingOptions reading;
  std::string title;
};

enum class Kind { score, roll_text, roll_picture };

Kind kind_of(const fs::path& path) {
  if (midi::kind_of(path)) return Kind::score;
  const std::string extension = midi::lower_extension(path);
  if (extension == ".txt") return Kind::roll_text;
  if (extension == ".svg") return Kind::roll_picture;
  throw CLI::ValidationError(fmt::format("OUT: {}: its name ends with none of {}, .txt, .svg",
                                         path.string(), midi::kScoreExtensions));
}

// An option that would do nothing is a mistake.
void refuse_idle_options(const Options& o, Kind kind, bool on_grid) {
  const auto refuse = [](const char* option, const char* why) {
    throw CLI::ValidationError(fmt::format("{}: {}", option, why));
  };
  if (o.roll.fs && kind == Kind::score) refuse("--fs", "only a piano roll has columns a second");
  if (!o.title.empty() && kind == Kind::roll_text) refuse("--title", "the text of a roll has none");
  if (kind != Kind::score || on_grid) return;
  if (!o.title.empty()) refuse("--title", "without --grid, MIDI is written as it stands");
  if (o.roll.pedal) refuse("--pedal", "without --grid, MIDI is written as it stands");
}

void tell_cost(const midi::GridScore& music) {
  if (music.moved != midi::Quarters())
    tell_line(
        fmt::format("{}: laid on {} a quarter note; starts and ends of notes moved by at most "
                    "{:.3g} of a quarter",
                    music.name, many(music.grid, "column"), music.moved.value()));
  if (music.merged > 0)
    tell_line(fmt::format("{}: {} struck while the pitch sounds: one ends where the next begins",
                          music.name, many(music.merged, "note")));
}

void write_roll(const Options& o, const midi::Score& score, Kind kind) {
  const auto roll = midi::make_piano_roll(score, o.roll.over({}));
  const std::string title = o.title.empty() ? o.in.stem().string() : o.title;
  midi::write_file_atomically(
      o.out, kind == Kind::roll_text ? midi::roll_text(roll) : report::roll_svg(roll, title));
  fmt::print("{}: {}\n", o.out.string(), many(roll.columns(), "column"));
}

void run(const Options& o) {
  const Kind kind = kind_of(o.out);
  const bool notation = kind == Kind::score && midi::kind_of(o.out) != midi::ScoreKind::midi;
  const bool on_grid = notation || !o.grid.empty();
  refuse_idle_options(o, kind, on_grid);
  midi::Score score = read_score(o.in, o.reading);
  tell_findings(score);
  if (on_grid) {
    midi::GridOptions options;
    if (!o.grid.empty() && o.grid != "auto") options.grid = std::stoi(o.grid);
    options.pedal = o.roll.over({}).pedal;
    options.title = o.title;
    const midi::GridScore music = midi::quantise(score, options);
    tell_cost(music);
    if (kind == Kind::score) {
      midi::write_score(o.out, music);
      fmt::print("{}: {} a quarter note, {}\n", o.out.string(), many(music.grid, "column"),
                 many(midi::bars_of(music).size(), "bar"));
      return;
    }
    score = midi::to_score(music);
  }
  if (kind == Kind::score) {
    midi::write_score(o.out, score);
    fmt::print("{}: {}\n", o.out.string(), many(score.note_ons(), "note"));
  } else {
    write_roll(o, score, kind);
  }
}

}  // namespace

void add_convert(CLI::App& program) {
  auto* command = program.add_subcommand(
      "convert", "A score as another kind of file: MIDI, MusicXML, a piano roll");
  command->footer(kExamples);
  const auto options = std::make_shared<Options>();
  command->add_option("IN", options->in, "MIDI or MusicXML file")->required();
  command->add_option("OUT", options->out, "The file to write")->required();
  std::vector<std::string> grids = {"auto"};
  for (const int grid : midi::kAutomaticGrids) grids.push_back(std::to_string(grid));
  command
      ->add_option(
          "--grid", options->grid,
          "Lay the notes on so many columns a quarter note; auto: the coarsest that has every "
          "note, else that has most, else 4")
      ->default_str("auto for notation, none else")
      ->check(CLI::IsMember(grids));
  add_roll_overrides(*command, options->roll, "5", "compat");
  command->add_option("--title", options->title, "Of the piece, in place of its own");
  add_reading_options(*command, options->reading);
  command->callback([options] { run(*options); });
}

}  // namespace etude::apps
