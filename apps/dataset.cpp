#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "apps/commands.h"
#include "apps/data_options.h"
#include "apps/messages.h"
#include "apps/number_checks.h"
#include "engine/error.h"
#include "engine/safetensors.h"
#include "midi/dataset.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(PATH is a folder of .mid, .midi, .musicxml and .mxl files (searched below too), a MAESTRO table (.csv or
.json), one MIDI or MusicXML file, or "maestro": what `etude fetch maestro` has fetched.

Examples:
  etude dataset data/demo/midi
  etude dataset maestro --split train --sample 100 --seed 7
  etude dataset data/demo/midi --json | jq .samples
  etude dataset data/demo/midi --batches 20 --out batches.safetensors
      the first 20 minibatches of epoch 0, in the order in which `etude train` takes them, as
      inputs [20,96,50] and targets [20,96], so that another framework can train on the same)";

struct Options {
  DataOptions data;
  bool json = false;
  int batch = 96;
  int song_group = 16;
  int batches = 0;
  int epoch = 0;
  std::string out;
};

int64_t silent_targets(const midi::Dataset& data) {
  int64_t count = 0;
  data.each_window([&](int64_t o) { count += data.target(o) == data.vocabulary.silence(); });
  return count;
}

Json groups_json(const std::vector<midi::SongGroup>& groups) {
  Json list = Json::array();
  for (const midi::SongGroup& group : groups) {
    list.push_back({{"songs", group.songs},
                    {"samples", group.samples},
                    {"minibatches", group.minibatches},
                    {"samples_dropped", group.dropped}});
  }
  return list;
}

Json songs_json(const midi::Dataset& data) {
  Json list = Json::array();
  for (const midi::Song& song : data.songs) {
    list.push_back({{"file", song.name},
                    {"columns", song.columns},
                    {"first_step", song.first_step},
                    {"last_step", song.last_step},
                    {"steps_with_notes", song.steps_with_notes},
                    {"samples", song.samples}});
  }
  return list;
}

int64_t minibatches(const std::vector<midi::SongGroup>& groups) {
  int64_t count = 0;
  for (const midi::SongGroup& group : groups) count += group.minibatches;
  return count;
}

std::string json_report(const midi::Dataset& data, const Options& options) {
  const auto groups = midi::song_groups(data, options.song_group, options.batch);
  auto tokens = data.vocabulary.tokens();
  tokens.pop_back();  // "e"
  tokens.resize(std::min<size_t>(tokens.size(), 20));
  Json skipped = Json::array();
  for (const auto& [file, reason] : data.skipped)
    skipped.push_back({{"file", file}, {"reason", reason}});
  Json json;
  const midi::RollOptions roll = options.data.roll.over({});
  json["path"] = options.data.path.string();
  json["fs"] = roll.fs;
  json["pedal"] = midi::name_of(roll.pedal);
  json["seq_len"] = midi::kWindow;
  json["songs"] = data.songs.size();
  json["skipped"] = skipped;
  json["vocabulary_size"] = data.vocabulary.size();
  json["note_tokens"] = data.vocabulary.size() - 1;
  json["e_index"] = data.vocabulary.silence();
  json["softmax_size"] = data.vocabulary.classes();
  json["steps_with_notes"] = data.steps_with_notes();
  json["samples"] = data.samples();
  json["targets_that_are_e"] = silent_targets(data);
  json[fmt::format("minibatches_of_{}", options.batch)] = minibatches(groups);
  json[fmt::format("groups_of_{}", options.song_group)] = groups_json(groups);
  json["first_20_tokens"] = tokens;
  json["sha256_targets_i32le"] = midi::sha256_targets(data);
  json["sha256_windows_i32le"] = midi::sha256_windows(data);
  json["sha256_vocabulary"] = data.vocabulary.sha256();
  json["per_song"] = songs_json(data);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string text_report(const midi::Dataset& data, const Options& options) {
  const auto groups = midi::song_groups(data, options.song_group, options.batch);
  int64_t columns = 0, dropped = 0;
  for (const midi::Song& song : data.songs) columns += song.columns;
  for (const midi::SongGroup& group : groups) dropped += group.dropped;
  const double fs = options.data.roll.over({}).fs;
  std::string out = options.data.path.string() + "\n";
  const auto line = [&](const char* what, const auto& value, const std::string& remark = {}) {
    out += fmt::format("  {:<24}{:>10}{}{}\n", what, value, remark.empty() ? "" : "  ", remark);
  };
  line("songs", data.songs.size(),
       data.skipped.empty() ? "" : fmt::format("({} files skipped)", data.skipped.size()));
  line("columns", columns,
       fmt::format("({:.1f} minutes at {} a second)", static_cast<double>(columns) / fs / 60, fs));
  line("columns that sound", data.steps_with_notes());
  line("tokens", data.vocabulary.size(), "(chords, and the silence)");
  line("samples", data.samples(),
       fmt::format("(windows of {}; next is silence in {})", midi::kWindow, silent_targets(data)));
  line("minibatches an epoch", minibatches(groups),
       fmt::format("(of {}, songs in groups of {}; {} samples left over)", options.batch,
                   options.song_group, dropped));
  out += fmt::format(
      "  sha256 of targets     {}\n  sha256 of windows     {}\n  sha256 of vocabulary  {}\n",
      midi::sha256_targets(data), midi::sha256_windows(data), data.vocabulary.sha256());
  return out;
}

// The first minibatches of an epoch, for another framework to train on.
void write_batches(const midi::Dataset& data, const Options& options) {
  const uint64_t seed = options.data.dataset.seed;
  const auto order =
      midi::epoch_order(data, seed, options.epoch, options.song_group, options.batch);
  const auto samples = static_cast<size_t>(options.batches) * static_cast<size_t>(options.batch);
  if (samples > order.size())
    throw Error(fmt::format("{}: {} minibatches are wanted, an epoch has {}",
                            options.data.path.string(), options.batches,
                            order.size() / static_cast<size_t>(options.batch)));
  std::vector<int32_t> inputs, targets;
  for (const int64_t window : std::span(order).first(samples)) {
    inputs.insert(inputs.end(), data.input(window), data.input(window) + midi::kWindow);
    targets.push_back(data.target(window));
  }
  write_safetensors(
      options.out,
      {{"vocabulary_size", std::to_string(data.vocabulary.size())},
       {"softmax_size", std::to_string(data.vocabulary.classes())},
       {"sha256_vocabulary", data.vocabulary.sha256()},
       {"seed", std::to_string(seed)},
       {"epoch", std::to_string(options.epoch)},
       {"song_group", std::to_string(options.song_group)}},
      {{"inputs", {options.batches, options.batch, midi::kWindow}, inputs.data(), "I32"},
       {"targets", {options.batches, options.batch}, targets.data(), "I32"}});
}

void run(const Options& options) {
  const auto data = load_data(options.data);
  if (options.batches > 0) {
    write_batches(data, options);
    tell_line(fmt::format("{}: {} minibatches of {}", options.out, options.batches, options.batch));
    return;
  }
  const std::string report = options.json ? json_report(data, options) : text_report(data, options);
  std::fwrite(report.data(), 1, report.size(), stdout);
}

}  // namespace

void add_dataset(CLI::App& program) {
  auto* command = program.add_subcommand("dataset", "What a collection of pieces amounts to");
  command->footer(kExamples);
  const auto options = std::make_shared<Options>();
  midi::DatasetOptions& data = options->data.dataset;
  command->add_option("PATH", options->data.path, "Folder, MAESTRO table, one piece, or maestro")
      ->required();
  add_roll_overrides(*command, options->data.roll, "5", "compat");
  command->add_option("--sample", data.sample, "So many songs, drawn by the seed (0: all)")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--seed", data.seed, "Of the sample and of the epoch's order")
      ->capture_default_str()
      ->check(seed_number());
  command->add_option("--split", data.split, "Of a MAESTRO table: train, validation, test");
  add_cache_option(*command, options->data);
  command->add_option("--batch", options->batch, "Samples a minibatch")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--song-group", options->song_group, "Songs whose windows are shuffled together")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", options->json, "Report as JSON, with songs and groups");
  auto* batches =
      command->add_option("--batches", options->batches, "Write the first N minibatches")
          ->check(CLI::PositiveNumber);
  auto* out = command->add_option("--out", options->out, "Where to (.safetensors)");
  command->add_option("--epoch", options->epoch, "Of which epoch, from 0")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  batches->needs(out);
  out->needs(batches);
  command->callback([options] { run(*options); });
}

}  // namespace etude::apps
