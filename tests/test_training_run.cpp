// Training runs: the same bits from the same seed and after a stop, what is saved and refused.

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/trainer.h"
#include "apps/training_run.h"
#include "engine/error.h"
#include "layers/model_file.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
using apps::StepRecord;
using apps::Trainer;
using apps::TrainingOptions;
namespace fs = std::filesystem;

namespace {

constexpr int kBatch = 8;

midi::Dataset corpus(const TemporaryFolder& folder) {
  return midi::load_dataset(write_corpus(folder), {});
}

ModelConfig small_config(const std::string& name, const midi::Dataset& dataset) {
  ModelConfig config = default_config(name);
  config.classes = dataset.vocabulary.classes();
  config.embedding = 8;
  config.units = 5;
  config.dense = 7;
  return config;
}

TrainingOptions small_training(int64_t max_steps) {
  TrainingOptions options;
  options.epochs = 2;
  options.batch = kBatch;
  options.song_group = 2;
  options.max_steps = max_steps;
  return options;
}

// Trains `steps` in all, from the start or from what the folder has, and saves.
StepRecord train(const midi::Dataset& dataset, const std::string& model_name,
                 const fs::path& folder, int64_t steps, bool resume) {
  Model model(small_config(model_name, dataset));
  if (!resume) model.initialise(3);
  Trainer trainer(dataset, model, small_training(steps));
  fs::create_directories(folder);
  if (resume) trainer.resume(folder);
  while (!trainer.finished()) trainer.advance();
  trainer.save(folder);
  return trainer.record();
}

void check_same_bits(const fs::path& a, const fs::path& b) {
  for (const char* name : {"model.safetensors", "optimizer.safetensors"})
    CHECK(file_bytes(a / name) == file_bytes(b / name));
}

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("the same seed gives the same bits, another seed others") {
  const TemporaryFolder folder;
  const midi::Dataset dataset = corpus(folder);
  for (const char* model : {"triple", "transformer"}) {
    CAPTURE(model);
    train(dataset, model, folder / "a", 5, false);
    train(dataset, model, folder / "b", 5, false);
    check_same_bits(folder / "a", folder / "b");
    train(dataset, model, folder / "c", 6, false);
    CHECK(file_bytes(folder / "a" / "model.safetensors") !=
          file_bytes(folder / "c" / "model.safetensors"));
  }
}

TEST_CASE("a run stopped anywhere and resumed has the bits of one that was not") {
  const TemporaryFolder folder;
  const midi::Dataset dataset = corpus(folder);
  const StepRecord whole = train(dataset, "triple", folder / "whole", 0, false);
  const auto in_epoch_0 =
      std::count_if(whole.begin(), whole.end(), [](auto& r) { return r.epoch == 0; });
  const auto last = static_cast<int64_t>(whole.size());
  REQUIRE(in_epoch_0 > 2);
  REQUIRE(last > in_epoch_0 + 1);
  for (const int64_t stop : {int64_t{1}, int64_t{in_epoch_0}, int64_t{in_epoch_0} + 1, last}) {
    CAPTURE(stop);
    const fs::path part = folder / ("part" + std::to_string(stop));
    train(dataset, "triple", part, stop, false);
    const StepRecord record = train(dataset, "triple", part, 0, true);
    check_same_bits(folder / "whole", part);
    REQUIRE(record.size() == whole.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      CHECK(record[i].loss_per_sample == whole[i].loss_per_sample);
      CHECK(record[i].epoch == whole[i].epoch);
    }
  }
}

TEST_CASE("fed as published: the same bits, also where a run goes on in a group's middle") {
  const TemporaryFolder folder;
  const midi::Dataset dataset = corpus(folder);
  const StepRecord whole = train(dataset, "rnn", folder / "usual", 0, false);
  TrainingOptions options = small_training(0);
  options.as_published = true;
  for (const int64_t stop : {0, 2, 7}) {
    CAPTURE(stop);
    if (stop > 0) train(dataset, "rnn", folder / "part", stop, false);
    Model model(small_config("rnn", dataset));
    if (stop == 0) model.initialise(3);
    Trainer trainer(dataset, model, options);
    if (stop > 0) trainer.resume(folder / "part");
    while (!trainer.finished()) trainer.advance();
    fs::create_directories(folder / "published");
    trainer.save(folder / "published");
    check_same_bits(folder / "usual", folder / "published");
    CHECK(trainer.record().size() == whole.size());
    CHECK(trainer.record().back().data_ms > 0);
  }
}

TEST_CASE("a resume of another run is refused, and told why") {
  const TemporaryFolder folder;
  const midi::Dataset dataset = corpus(folder);
  const fs::path run = folder / "run";
  train(dataset, "rnn", run, 3, false);
  const auto resume = [&](auto change) {
    return message_of([&] {
      ModelConfig config = small_config("rnn", dataset);
      TrainingOptions options = small_training(0);
      change(config, options);
      Model model(config);
      Trainer(dataset, model, options).resume(run);
    });
  };
  CHECK(resume([](auto&, auto&) {}).empty());
  CHECK(contains(resume([](auto&, auto& o) { o.seed = 2; }), "seed is 1 there and 2 here"));
  CHECK(contains(resume([](auto&, auto& o) { o.batch = 4; }), "batch is 8 there and 4 here"));
  CHECK(contains(resume([](auto& c, auto&) { c.dropout = 0; }), "dropout"));
  CHECK(contains(resume([](auto&, auto& o) { o.roll.fs = 10; }), "fs is 5 there and 10 here"));
  CHECK(contains(resume([](auto& c, auto&) { c.model = "double"; }), "it holds rnn"));

  train(dataset, "rnn", folder / "later", 4, false);
  fs::copy_file(folder / "later" / "model.safetensors", run / "model.safetensors",
                fs::copy_options::overwrite_existing);
  CHECK(contains(resume([](auto&, auto&) {}), "saved after 4 steps"));
}

TEST_CASE("a damaged record of steps names its line") {
  const TemporaryFolder folder;
  const std::string head = "step,epoch,loss_per_sample,data_ms,model_ms\n";
  const auto message = [&](const std::string& text) {
    const auto path = folder.write("steps.csv", text);
    return message_of([&] { apps::read_step_record(path); });
  };
  CHECK(message(head + "1,0,2.5,0.1,3\n2,1,2.25,0.1,3\n").empty());
  CHECK(contains(message(""), "line 1:"));
  CHECK(contains(message("loss\n"), "line 1:"));
  CHECK(contains(message(head + "1,0,2.5,0.1,3\n3,0,2.5,0.1,3\n"), "line 3:"));
  CHECK(contains(message(head + "1,0,2.5,0.1\n"), "line 2:"));
  CHECK(contains(message(head + "1,0,nan,0.1,3\n"), "line 2:"));
  CHECK(contains(message(head + "1,0,2.5,0.1,3,9\n"), "line 2:"));
  CHECK(contains(message(head + "1,0,2.5,0.1,3\n2,2000000000,2.5,0.1,3\n"), "line 3:"));
  CHECK(contains(message_of([&] { apps::read_step_record(folder / "none.csv"); }), "none.csv"));
}

TEST_CASE("a loss that is not finite ends the run and saves nothing") {
  const TemporaryFolder folder;
  const midi::Dataset dataset = corpus(folder);
  Model model(small_config("attention", dataset));
  model.initialise(1);
  TrainingOptions options = small_training(0);
  options.nadam.learning_rate = 1e30f;
  Trainer trainer(dataset, model, options);
  const std::string message =
      message_of([&] { apps::run_training(trainer, "attention", folder / "run", ""); });
  CHECK(contains(message, "not finite"));
  CHECK_FALSE(fs::exists(folder / "run" / "model.safetensors"));
}

TEST_CASE("figures of a run: the first step apart, four epochs measured or projected") {
  const TemporaryFolder folder;
  const midi::Dataset dataset = corpus(folder);
  const StepRecord record = {{1, 0, 4, 1, 99}, {2, 0, 3, 1, 9}, {3, 0, 2, 1, 4}, {4, 1, 1, 2, 6}};
  const apps::StepTimes times = apps::step_times(record, 1);
  CHECK(times.first == 100);
  CHECK(times.median == 8);
  CHECK(times.min == 5);
  CHECK(times.max == 10);
  CHECK(times.mean == doctest::Approx(23.0 / 3));
  CHECK(times.data == 1);
  CHECK(times.model == 6);
  CHECK(apps::step_times({{1, 0, 4, 1, 99}}, 1).median == 100);
  CHECK(apps::epoch_losses(record) == std::vector<double>{3, 1});

  Model model(small_config("attention", dataset));
  model.initialise(1);
  for (const int epochs : {1, 4}) {
    TrainingOptions options = small_training(0);
    options.epochs = epochs;
    Trainer trainer(dataset, model, options);
    while (!trainer.finished()) trainer.advance();
    const apps::RunFigures figures = apps::figures_of(trainer, "attention", 5);
    CHECK(figures.projected == (epochs != 4));
    CHECK(figures.steps_of_four_epochs == trainer.steps_of_epochs(4));
    CHECK(figures.minutes_four_epochs > 0);
    if (epochs == 4) CHECK(figures.minutes_four_epochs == figures.minutes);
    CHECK(static_cast<int>(figures.epoch_losses.size()) == epochs);
  }
}

TEST_CASE("train: files, figures, and a run that is not overwritten") {
  const TemporaryFolder folder;
  const std::string data = "train --model attention --batch 16 --data " +
                           quoted(write_corpus(folder)) + " --threads 2 --out ";
  const std::string out = quoted(folder / "deep" / "run");
  Result result = etude::tests::etude(folder, data + out + " --max-steps 3 --json");
  INFO(result.err);
  REQUIRE(result.status == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("name") == "attention");
  CHECK(json.at("steps") == 3);
  CHECK(json.at("loss_per_epoch").size() == 1);
  CHECK(json.at("ms_per_step").at("min") <= json.at("ms_per_step").at("median"));
  CHECK(json.at("ms_per_step").at("median") <= json.at("ms_per_step").at("max"));
  CHECK(json.at("projected") == true);
  CHECK(names_in(folder / "deep" / "run") ==
        std::vector<std::string>{"model.safetensors", "optimizer.safetensors", "steps.csv"});
  CHECK(json.at("files").at("model") == (folder / "deep" / "run" / "model.safetensors").string());

  const Bytes before = file_bytes(folder / "deep" / "run" / "model.safetensors");
  check_failure(etude::tests::etude(folder, data + out), 1, "--resume");
  CHECK(file_bytes(folder / "deep" / "run" / "model.safetensors") == before);

  result = etude::tests::etude(folder, data + out + " --max-steps 5 --resume");
  CHECK(result.status == 0);
  CHECK(contains(result.out, "steps               5"));
  CHECK_FALSE(contains(result.err, "finished"));
  result = etude::tests::etude(folder, data + out + " --max-steps 5 --resume");
  CHECK(result.status == 0);
  CHECK(contains(result.err, "this run is finished, all of its 5 steps were made"));
  result = etude::tests::etude(folder, data + quoted(folder / "five") + " --max-steps 5");
  CHECK(result.status == 0);
  check_same_bits(folder / "five", folder / "deep" / "run");

  CHECK(etude::tests::etude(folder, data + out + " --max-steps 3 --force").status == 0);
  CHECK(file_bytes(folder / "deep" / "run" / "model.safetensors") == before);
  check_failure(etude::tests::etude(folder, data + quoted(folder / "none") + " --resume"), 1,
                "model.safetensors: cannot be opened");
}

TEST_CASE("train: Ctrl-C and SIGTERM save, and the run goes on from there with the same bits") {
  const TemporaryFolder folder;
  const std::vector<std::string> data = {"train",   "--model", "attention",
                                         "--batch", "4",       "--epochs",
                                         "5000",    "--data",  write_corpus(folder).string()};
  for (const auto& [signal, status] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
    CAPTURE(signal);
    const fs::path run = folder / std::to_string(signal);
    auto words = data;
    words.insert(words.end(), {"--out", run.string()});
    Program program(words, folder / "stdout", folder / "stderr");
    REQUIRE(program.wait_for(run / "steps.csv"));  // saved at the first epoch's end
    program.send(signal);
    CHECK(program.wait() == status);
    const std::string message = file_text(folder / "stderr");
    CHECK(contains(message, signal == SIGINT ? "stopped by Ctrl-C" : "stopped by SIGTERM"));
    CHECK(contains(message, "--resume"));
    CHECK(file_text(folder / "stdout").empty());
    CHECK(names_in(run).size() == 3);

    const auto steps = apps::read_step_record(run / "steps.csv").size() + 3;
    std::string arguments = " --max-steps " + std::to_string(steps) + " --out ";
    for (auto word = data.rbegin(); word != data.rend(); ++word)
      arguments = *word + " " + arguments;
    CHECK(etude::tests::etude(folder, arguments + quoted(run) + " --resume").status == 0);
    const fs::path whole = folder / ("whole" + std::to_string(signal));
    CHECK(etude::tests::etude(folder, arguments + quoted(whole)).status == 0);
    check_same_bits(whole, run);
  }
}
