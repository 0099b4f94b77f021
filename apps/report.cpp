#include <fmt/format.h>

#include <algorithm>

#include "apps/commands.h"
#include "apps/report/loss_svg.h"
#include "apps/report/page.h"
#include "apps/report/roll_svg.h"
#include "apps/step_record.h"
#include "apps/table_rows.h"
#include "engine/atomic_file.h"
#include "engine/error.h"
#include "midi/instrument.h"
#include "midi/piano_roll.h"
#include "midi/score_file.h"
#include "midi/tempo.h"

namespace etude::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(DIR is what `etude table --out DIR` has filled: table.json, and DIR/MODEL/steps.csv for every model.
Where there is a DIR/MODEL.mid it is shown as a roll and can be played in the page. Written are
DIR/loss.svg, DIR/MODEL.svg and DIR/report.html.

Examples:
  etude table --data data/demo/midi --max-steps 100 --out out/mine
  etude generate --checkpoint out/mine/triple/model.safetensors --out out/mine/triple.mid
  etude report out/mine)";

std::vector<std::string> names_of(const StoredTable& table) {
  std::vector<std::string> names;
  for (const TableRow& row : table.rows) names.push_back(row.name);
  return names;
}

std::string draw_curves(const fs::path& folder, const std::vector<std::string>& names) {
  std::vector<report::Curve> curves;
  for (const std::string& name : names) {
    const fs::path path = folder / name / "steps.csv";
    curves.push_back({name, read_step_record(path)});
    if (curves.back().record.empty())
      throw Error(fmt::format("{}: line 2: no step in it", path.string()));
  }
  return report::loss_svg(curves, "Loss while training");
}

report::Piece read_piece(const fs::path& path, const std::string& model, double columns_a_second) {
  const midi::Score score = midi::read_score(path);
  const auto roll = midi::make_piano_roll(score, {columns_a_second, midi::Pedal::compat});
  report::Piece piece{
      model, path.filename().string(), report::roll_svg(roll, path.stem().string()), {}};
  const auto tempo = midi::TempoMap::of_track(score, 0);
  const auto instruments = midi::instruments(score);
  for (const midi::Note& note : instruments.front().notes)
    piece.notes.push_back({tempo.seconds(note.start), tempo.seconds(note.end), note.pitch});
  std::ranges::stable_sort(piece.notes, {}, &report::PlayedNote::start);
  return piece;
}

void write(const fs::path& path, const std::string& content) {
  write_file(path, content);
  fmt::print("{}\n", path.string());
}

void report_on(const fs::path& folder) {
  report::Page page;
  page.table = read_table(folder / "table.json");
  const std::vector<std::string> names = names_of(page.table);
  page.loss_svg = draw_curves(folder, names);
  std::string html;
  try {
    for (const std::string& name : names)
      if (const fs::path midi = folder / (name + ".mid"); fs::exists(midi))
        page.pieces.push_back(read_piece(midi, name, page.table.json.at("data").at("fs")));
    html = to_html(page);
  } catch (const Json::exception& fault) {
    throw Error(fmt::format("{}: {}", (folder / "table.json").string(), fault.what()));
  }
  write(folder / "loss.svg", page.loss_svg);
  for (const report::Piece& piece : page.pieces)
    write(folder / (piece.name + ".svg"), piece.roll_svg);
  write(folder / "report.html", html);
}

}  // namespace

void add_report(CLI::App& program) {
  auto* command = program.add_subcommand("report", "A page about a table and its pieces");
  auto folder = std::make_shared<fs::path>();
  command->add_option("DIR", *folder, "Folder that `etude table --out` has filled")->required();
  command->footer(kExamples);
  command->callback([folder] { report_on(*folder); });
}

}  // namespace etude::apps
