// What train, table, evaluate and report tell: JSON fields, progress on terminals and elsewhere,
// pictures and the page.

#include <doctest/doctest.h>
#include <pty.h>
#include <tinyxml2.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/durations.h"
#include "apps/progress.h"
#include "apps/report/loss_svg.h"
#include "apps/step_record.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// What a program writes to a terminal of 100 columns; nothing where the system has none to give.
std::optional<std::string> on_terminal(const std::string& arguments, const char* no_colour) {
  int terminal = -1;
  winsize size{24, 100, 0, 0};
  std::cout.flush();
  const pid_t process = forkpty(&terminal, nullptr, nullptr, &size);
  if (process < 0) return {};
  if (process == 0) {
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", no_colour, 1);
    execl("/bin/sh", "sh", "-c", ("'" ETUDE_PROGRAM "' " + arguments).c_str(), nullptr);
    _exit(127);
  }
  std::string all;
  char part[4096];
  for (ssize_t n; (n = read(terminal, part, sizeof part)) > 0;)
    all.append(part, static_cast<size_t>(n));
  waitpid(process, nullptr, 0);
  close(terminal);
  return all;
}

// Progress drawn into a file.
std::string drawn(const apps::Screen& screen, auto use) {
  std::FILE* file = std::tmpfile();
  {
    apps::Progress progress("triple", "steps", 8, 0, screen, file);
    use(progress);
  }
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  CHECK(std::fread(text.data(), 1, text.size(), file) == text.size());
  std::fclose(file);
  return text;
}

std::string table_arguments(const TemporaryFolder& folder) {
  return "table --batch 16 --max-steps 2 --models attention,rnn --data " +
         quoted(write_corpus(folder)) + " ";
}

}  // namespace

TEST_CASE("durations") {
  CHECK(apps::format_duration(0) == "0 s");
  CHECK(apps::format_duration(59.4) == "59 s");
  CHECK(apps::format_duration(65) == "1:05 min");
  CHECK(apps::format_duration(3600 + 62) == "1:01:02 h");
}

TEST_CASE("progress: one line drawn again on a terminal, few plain lines elsewhere") {
  const auto use = [](apps::Progress& progress) {
    progress.advance(4, "loss 1.5");
    progress.stay("epoch 1/2: loss 1.5");
    progress.advance(8, "loss 1.25");
  };
  const std::string plain = drawn({false, false, 80}, use);
  CHECK(plain == "triple: epoch 1/2: loss 1.5\n");  // the rest came within five seconds
  const std::string colourless = drawn({true, false, 60}, use);
  CHECK(contains(colourless, "\r"));
  CHECK(contains(colourless, "[========================]"));
  CHECK_FALSE(contains(colourless, "\x1b[36m"));
  CHECK(contains(colourless, "triple: epoch 1/2: loss 1.5\n"));
  CHECK(colourless.ends_with("\r\x1b[K"));  // nothing is left on the screen
  CHECK(contains(drawn({true, true, 60}, use), "\x1b[36m"));
  for (const int width : {1, 20, 60}) {
    const std::string line = drawn({true, false, width}, [](apps::Progress& progress) {
      progress.advance(8, std::string(200, 'x'));
    });
    CHECK(line.size() < static_cast<size_t>(std::max(width, 50)) + 12);
  }
}

TEST_CASE("train on a terminal: colours unless NO_COLOR, figures apart from progress") {
  const TemporaryFolder folder;
  const std::string train = "train --model attention --batch 8 --epochs 2 --force --data " +
                            quoted(write_corpus(folder)) + " --out " + quoted(folder / "out");
  const auto colourful = on_terminal(train, ""), colourless = on_terminal(train, "1");
  if (colourful && colourless) {
    CHECK(contains(*colourful, "\x1b[36m"));
    CHECK(contains(*colourful, "epoch 2/2"));
    CHECK_FALSE(contains(*colourless, "\x1b[36m"));
    CHECK(contains(*colourless, "[===="));
  } else {
    MESSAGE("the terminal's part skipped: no pseudo-terminal to be had");
  }
  const Result piped = etude::tests::etude(folder, train);
  CHECK(contains(piped.err, "attention: epoch 2/2: loss "));
  CHECK_FALSE(contains(piped.err, "\x1b"));
  CHECK_FALSE(contains(piped.err, "\r"));
  CHECK_FALSE(contains(piped.out, "epoch 2/2"));
}

TEST_CASE("table: fields of the JSON, rows, models one by one") {
  const TemporaryFolder folder;
  const std::string arguments = table_arguments(folder);
  Result result = etude::tests::etude(folder, arguments + "--json --stack 2 --vocab 50");
  INFO(result.err);
  REQUIRE(result.status == 0);
  const Json json = Json::parse(result.out);
  CHECK(json.at("machine").at("threads") >= 1);
  for (const char* key : {"processor", "cores", "compiler", "flags", "system", "memory_gib"})
    CHECK(json.at("machine").contains(key));
  CHECK(json.at("data").at("songs") == 3);
  CHECK(json.at("training").at("batch") == 16);
  const Json& models = json.at("models");
  REQUIRE(models.size() == 3);
  CHECK(models[0].at("name") == "attention");
  CHECK(models[1].at("name") == "rnn");
  CHECK(models[2].at("name") == "stack-2");
  CHECK(models[1].at("paper_minutes") == doctest::Approx(79.65));
  CHECK(models[2].at("paper_minutes").is_null());
  for (const Json& model : models) {
    CHECK(model.at("classes") == 50);
    CHECK(model.at("steps") == 2);
    CHECK(model.at("parameters") > 1000);
    CHECK(model.at("ms_per_step").at("median") > 0);
    CHECK(model.at("model_ms") <= model.at("ms_per_step").at("max"));
    CHECK(model.at("data_ms") >= 0);
    CHECK(model.at("loss_per_epoch").size() == 1);
    CHECK(model.at("minutes_4_epochs") > 0);
    CHECK(model.at("projected") == true);
    CHECK(model.at("peak_memory_mib") > 1);
  }

  result = etude::tests::etude(folder, arguments);
  CHECK(result.status == 0);
  CHECK(contains(result.out, "projected"));
  CHECK(contains(result.out, "79:39"));
  CHECK(contains(result.out, "19:15"));
  CHECK(names_in(folder.path()) == std::vector<std::string>{"pieces"});
}

TEST_CASE("table --out, generate, report: a folder to look at") {
  const TemporaryFolder folder;
  const std::string arguments = table_arguments(folder);
  const fs::path out = folder / "out";
  REQUIRE(etude::tests::etude(folder, arguments + "--out " + quoted(out)).status == 0);
  CHECK(names_in(out) ==
        std::vector<std::string>{"attention", "rnn", "table.csv", "table.json", "table.md"});
  CHECK(names_in(out / "rnn").size() == 3);
  check_failure(etude::tests::etude(folder, arguments + "--out " + quoted(out)), 1, "--force");
  CHECK(etude::tests::etude(folder, arguments + "--force --out " + quoted(out)).status == 0);
  REQUIRE(etude::tests::etude(folder, "generate --seconds 5 --checkpoint " +
                                          quoted(out / "rnn" / "model.safetensors") + " --out " +
                                          quoted(out / "rnn.mid"))
              .status == 0);
  const Result result = etude::tests::etude(folder, "report " + quoted(out));
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(names_in(out) == std::vector<std::string>{"attention", "loss.svg", "report.html", "rnn",
                                                  "rnn.mid", "rnn.svg", "table.csv", "table.json",
                                                  "table.md"});
  for (const char* picture : {"loss.svg", "rnn.svg"}) {
    tinyxml2::XMLDocument xml;
    CHECK(xml.Parse(file_text(out / picture).c_str()) == tinyxml2::XML_SUCCESS);
    CHECK(std::string(xml.RootElement()->Name()) == "svg");
  }
  const std::string page = file_text(out / "report.html");
  CHECK(contains(page, "<a href=\"rnn.mid\""));
  CHECK(contains(page, "projected"));
  CHECK_FALSE(contains(page, "src=\"http"));
  CHECK_FALSE(contains(page, "href=\"http"));
}

TEST_CASE("loss curves: of any length, equal losses, names that overlap") {
  const auto curve = [](const std::string& name, int steps, double loss) {
    apps::StepRecord record;
    for (int i = 1; i <= steps; ++i) record.push_back({i, i / 40, loss / i, 1, 1});
    return apps::report::Curve{name, record};
  };
  for (const int steps : {1, 2, 50, 2000}) {
    const std::string svg = apps::report::loss_svg(
        {curve("a<b", steps, 3), curve("rnn", steps, 3), curve("c", 1, 3)}, "Loss & more");
    tinyxml2::XMLDocument xml;
    CHECK(xml.Parse(svg.c_str()) == tinyxml2::XML_SUCCESS);
    CHECK_FALSE(contains(svg, "nan"));
    CHECK_FALSE(contains(svg, "inf"));
    CHECK(contains(svg, "a&lt;b"));
    CHECK(svg.size() < 400'000);
  }
}

TEST_CASE("evaluate: fields, unknown tokens, a batch that does not divide") {
  const TemporaryFolder folder;
  const fs::path pieces = write_corpus(folder);
  REQUIRE(
      etude::tests::etude(
          folder,
          "train --model attention --batch 8 --epochs 40 --dropout 0 --learning-rate 0.01 --out " +
              quoted(folder / "m") + " --data " + quoted(pieces))
          .status == 0);
  const std::string evaluate =
      "evaluate --json --checkpoint " + quoted(folder / "m" / "model.safetensors") + " --data ";
  const auto json = [&](const std::string& arguments) {
    return Json::parse(etude::tests::etude(folder, evaluate + arguments).out);
  };
  const Json all = json(quoted(pieces));
  CHECK(all.at("samples") == all.at("windows"));
  CHECK(all.at("unknown_targets") == 0);
  CHECK(all.at("unknown_tokens") == 0);
  CHECK(all.at("loss_per_sample") < 1.0);  // it knows these pieces
  CHECK(all.at("perplexity") == doctest::Approx(std::exp(all.at("loss_per_sample").get<double>())));
  CHECK(all.at("top1_accuracy") > 0.5);
  CHECK(all.at("top5_accuracy") >= all.at("top1_accuracy"));
  for (const char* batch : {"1", "7", "1000"})
    CHECK(json(quoted(pieces) + " --batch " + batch).at("loss_per_sample") ==
          doctest::Approx(all.at("loss_per_sample").get<double>()).epsilon(1e-4));

  std::vector<midi::PitchSet> columns(30);
  for (size_t i = 0; i < columns.size(); ++i) columns[i].set(i % 3 ? 60 : 100);
  const auto strange = folder.write("strange.mid", midi::write_smf(midi::compose(columns, {})));
  const Json some = json(quoted(strange));
  CHECK(some.at("windows") == 29);
  CHECK(some.at("unknown_tokens") == 10);
  CHECK(some.at("unknown_targets") == 9);  // the first column is nobody's target
  CHECK(some.at("samples") == 20);
  CHECK(std::isfinite(some.at("loss_per_sample").get<double>()));
}

TEST_CASE("params --json: totals of the reference") {
  const TemporaryFolder folder;
  const Json json = Json::parse(etude::tests::etude(folder, "params --json").out);
  const std::vector<std::pair<std::string, int64_t>> totals = {{"rnn", 6134903},
                                                               {"attention", 6271880},
                                                               {"single", 7003256},
                                                               {"double", 6496888},
                                                               {"triple", 6858873}};
  for (const auto& [name, total] : totals) CHECK(json.at("parameters").at(name) == total);
}

TEST_CASE("doctor: says what is there; without a GPU that is no failure") {
  const TemporaryFolder folder;
  const Json json = Json::parse(etude::tests::etude(folder, "doctor --json").out);
  CHECK(json.at("found").at("threads") >= 1);
  CHECK(json.at("runs").at("default_device") == "cpu");
  CHECK(contains(etude::tests::etude(folder, "doctor").out, "--device simt"));
  const Result asked = etude::tests::etude(folder, "doctor --device cuda");
  if (json.at("runs").at("cuda"))
    CHECK(asked.status == 0);
  else
    check_failure(asked, 1, json.at("runs").at("cuda_problem"));
}
