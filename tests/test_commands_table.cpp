// `etude table` in its forms, `etude report` on tables of other versions, `etude step`.

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/step_record.h"
#include "apps/table_formats.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::string table_of(const TemporaryFolder& folder, const std::string& models, int batch = 8) {
  return "table --batch " + std::to_string(batch) + " --models " + models + " --data " +
         quoted(write_corpus(folder)) + " ";
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) c == ',' ? void(cells.emplace_back()) : cells.back().push_back(c);
  return cells;
}

std::vector<double> losses(const fs::path& steps) {
  std::vector<double> all;
  for (const apps::StepReport& r : apps::read_step_record(steps)) all.push_back(r.loss_per_sample);
  return all;
}

// The losses of a model in a table of these options.
std::vector<double> losses_of(const TemporaryFolder& folder, const std::string& name,
                              const std::string& options, int batch = 8) {
  const fs::path out = folder / name;
  const Result result = etude::tests::etude(
      folder, table_of(folder, "rnn", batch) + options + " --out " + quoted(out));
  INFO(result.err);
  REQUIRE(result.status == 0);
  return losses(out / "rnn" / "steps.csv");
}

apps::Repeat repeat_of(const std::vector<double>& ms, double median, double peak) {
  apps::Repeat repeat{};
  repeat.figures.model = "rnn";
  repeat.figures.times.median = median;
  repeat.figures.minutes_four_epochs = median / 10;
  repeat.step_ms = ms;
  repeat.peak_memory_mib = peak;
  return repeat;
}

}  // namespace

TEST_CASE("a row is the median of its repeats; its spread is that of all steps") {
  const apps::TableRow row = apps::make_row(
      {repeat_of({1, 2, 3}, 2, 7), repeat_of({10, 20, 30}, 20, 9), repeat_of({4, 5, 6}, 5, 8)});
  CHECK(row.median == 5);
  CHECK(row.min == 1);
  CHECK(row.max == 30);
  CHECK(row.q1 == 3);
  CHECK(row.q3 == 10);
  CHECK(row.medians == std::vector<double>{2, 20, 5});
  CHECK(row.minutes_four_epochs == 0.5);
  CHECK(row.peak_memory_mib == 9);
  CHECK(row.timed_steps == 3);
  CHECK(row.paper_minutes == doctest::Approx(79.65));
}

TEST_CASE("table --repeats: models by turns, one line a model in every form") {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  const std::string table = table_of(folder, "attention,rnn") + "--epochs 1 --repeats 2 ";
  const Result result = etude::tests::etude(folder, table + "--csv --out " + quoted(out));
  INFO(result.err);
  REQUIRE(result.status == 0);
  std::vector<size_t> places;
  for (const char* title : {"attention (1/2)", "rnn (1/2)", "attention (2/2)", "rnn (2/2)"})
    places.push_back(result.err.find(title));
  CHECK(std::is_sorted(places.begin(), places.end()));
  CHECK(places.back() != std::string::npos);

  const Json json = Json::parse(file_text(out / "table.json"));
  CHECK(json.at("format") == "etude-table");
  CHECK(json.at("training").at("repeats") == 2);
  for (const Json& model : json.at("models")) {
    CHECK(model.at("timed_steps") == model.at("steps").get<int>() - 3);
    CHECK(model.at("ms_per_step_by_repeat").size() == 2);
    const Json& ms = model.at("ms_per_step");
    CHECK(ms.at("min") <= ms.at("q1"));
    CHECK(ms.at("q1") <= ms.at("q3"));
    CHECK(ms.at("q3") <= ms.at("max"));
  }
  const auto csv = lines_of(result.out);
  REQUIRE(csv.size() == 3);
  for (const std::string& line : csv) CHECK(cells_of(line).size() == cells_of(csv[0]).size());
  CHECK(cells_of(csv[2])[0] == "rnn");
  CHECK(file_text(out / "table.csv") == result.out);
  const std::string markdown = file_text(out / "table.md");
  CHECK(contains(markdown, "| `rnn` | "));
  CHECK(contains(markdown, "| 79:39 |"));
  CHECK(contains(markdown, " projected |"));
  CHECK(contains(markdown, "over 2 repeats"));
  REQUIRE(etude::tests::etude(folder, "report " + quoted(out)).status == 0);
  const std::string page = file_text(out / "report.html");
  CHECK(contains(page, "repeats of each model: 2, by turns"));
  CHECK(contains(page, "<td>79:39</td>"));
}

TEST_CASE("table: four epochs that were run are called measured; warm-up as asked") {
  const TemporaryFolder folder;
  const Result text = etude::tests::etude(folder, table_of(folder, "attention") + "--markdown");
  CHECK_MESSAGE(contains(text.out, " measured | 19:15 |"), text.out);
  CHECK_FALSE(contains(text.out, "rojected"));
  const Result json = etude::tests::etude(
      folder, table_of(folder, "attention") + "--json --max-steps 6 --warmup-steps 0");
  CHECK(Json::parse(json.out).at("models")[0].at("timed_steps") == 6);
}

TEST_CASE("table --as-published: other ways of feeding, the same losses to the bit") {
  const TemporaryFolder folder;
  const auto usual = losses_of(folder, "usual", "--epochs 2 --song-group 2 --max-steps 16");
  const auto published =
      losses_of(folder, "published", "--epochs 2 --song-group 2 --max-steps 16 --as-published");
  REQUIRE(usual.size() == 16);
  CHECK(usual == published);
  CHECK(losses_of(folder, "simt", "--max-steps 2 --as-published --device simt", 2) ==
        losses_of(folder, "simt2", "--max-steps 2 --device simt", 2));
}

TEST_CASE("table --gru stepwise: the same training within rounding, the same bits each time") {
  const TemporaryFolder folder;
  const auto fused = losses_of(folder, "fused", "--max-steps 5 --gru fused");
  const auto stepwise = losses_of(folder, "stepwise", "--max-steps 5 --gru stepwise");
  CHECK(stepwise == losses_of(folder, "again", "--max-steps 5 --gru stepwise"));
  REQUIRE(fused.size() == stepwise.size());
  for (size_t i = 0; i < fused.size(); ++i)
    CHECK(stepwise[i] == doctest::Approx(fused[i]).epsilon(1e-4));
  CHECK(losses_of(folder, "plain", "--max-steps 5") == fused);
  CHECK(Json::parse(file_text(folder / "stepwise" / "table.json")).at("training").at("gru") ==
        "stepwise");
}

TEST_CASE("report: a table of another version is named and refused") {
  const TemporaryFolder folder;
  for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{
           {R"({"models": [{"name": "rnn"}]})", "etude-table"},
           {R"({"format": "etude-step", "version": 1})", "etude-table"},
           {R"({"format": "etude-table", "version": 7, "models": []})", "a table of version 7"},
           {R"({"format": "etude-table"})", "version"},
           {R"({"format": "etude-table", "version": 1, "models": []})", "no model"},
           {R"({"format": "etude-table", "version": 1, "models": [{"name": 3}]})", "table.json"}}) {
    CAPTURE(text);
    folder.write("table.json", text);
    check_failure(etude::tests::etude(folder, "report " + quoted(folder.path())), 1, said);
  }
}

TEST_CASE("step: what it was asked to time") {
  const TemporaryFolder folder;
  const std::string sizes = "--units 16 --window 5 --vocab 100 --batch 2 ";
  for (const char* more :
       {"--model rnn", "--stack 4 --gru stepwise", "--model rnn --device simt"}) {
    const Result result =
        etude::tests::etude(folder, "step --json --steps 3 " + sizes + std::string(more));
    INFO(result.err);
    REQUIRE(result.status == 0);
    const Json json = Json::parse(result.out);
    CHECK(json.at("config").at("units") == 16);
    CHECK(json.at("config").at("window") == 5);
    CHECK(json.at("config").at("classes") == 100);
    CHECK(json.at("timed_steps") == 3);
    CHECK(json.at("ms_per_step").at("median") > 0);
    CHECK(json.at("peak_memory_mib") > 1);
  }
  CHECK(contains(etude::tests::etude(folder, "step --steps 1 --model attention " + sizes).out,
                 "attention: "));
}
