// Piano rolls, tokens and samples of the demo's pieces and of a few files made for what these lack,
// against pretty_midi's (tests/data/make_demo_rolls.py): what a bare clone has of test_midi_golden.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "midi/dataset.h"
#include "midi/piano_roll.h"
#include "midi/score_file.h"
#include "midi/sha256.h"

using namespace etude::midi;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kSource = ETUDE_SOURCE_DIR;

Json golden(const char* set) {
  return Json::parse(std::ifstream(kSource / "tests/data/demo_rolls.json")).at(set);
}

Pedal pedal_of(const std::string& name) { return name == "pedal" ? Pedal::compat : Pedal::off; }

std::string sha256(const std::string& text) {
  Sha256 hash;
  hash.add(text);
  return hash.hex();
}

Json roll_figures(const fs::path& file, const RollOptions& options) {
  const PianoRoll roll = make_piano_roll(read_score(file.string()), options);
  return {{"columns", roll.columns()}, {"sha256", sha256(roll_text(roll))}};
}

Json token_figures(const fs::path& folder, const RollOptions& options) {
  const Dataset data = load_dataset(folder, {.fs = options.fs, .pedal = options.pedal});
  return {{"vocabulary_size", data.vocabulary.size()},
          {"samples", data.samples()},
          {"sha256_targets_i32le", sha256_targets(data)},
          {"sha256_windows_i32le", sha256_windows(data)},
          {"sha256_vocabulary", data.vocabulary.sha256()}};
}

// `wanted`: by pedal and columns a second. Returns how many were compared.
template <class Figures>
int compare(const fs::path& path, const Json& wanted, Figures figures) {
  int compared = 0;
  for (const auto& [pedal, by_rate] : wanted.items()) {
    for (const auto& [rate, figure] : by_rate.items()) {
      INFO(path.filename().string() << ", " << pedal << ", fs " << rate);
      CHECK(figures(path, RollOptions{std::stod(rate), pedal_of(pedal)}) == figure);
      ++compared;
    }
  }
  return compared;
}

void compare_folder(const fs::path& folder, const Json& wanted, int files) {
  int rolls = 0;
  for (const auto& [file, figures] : wanted.at("rolls").items())
    rolls += compare(folder / file, figures, roll_figures);
  CHECK(rolls == 4 * files);
  CHECK(compare(folder, wanted.at("tokens"), token_figures) == 4);
}

}  // namespace

TEST_CASE("the demo's rolls, tokens and samples are pretty_midi's") {
  compare_folder(kSource / "data/demo/midi", golden("demo"), 18);
}

TEST_CASE("so are those of files with pedal, tempo changes, several tracks, overlaps, a bend") {
  compare_folder(kSource / "tests/data/rolls", golden("made"), 3);
}
