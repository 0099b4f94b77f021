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
#include "apps/roll_options.h"
#include "midi/dataset.h"
#include "midi/files.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(PATH is a folder of .mid and .midi files (searched below too), a MAESTRO table (.csv or .json), or one
MIDI file.

Examples:
  etude dataset data/demo/midi
  etude dataset maestro-v3.0.0/maestro-v3.0.0.csv --split train --sample 100 --seed 7
  etude dataset data/demo/midi --json | jq .samples
  etude dataset data/demo/midi --batches 20 --out batches.safetensors
      the first 20 minibatches of epoch 0, in the order in which `etude train` takes them, as
      inputs [20,96,50] and targets [20,96], so that another framework can train on the same)";

struct Options {
  std::string path;
  midi::DatasetOptions data;
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
  json["path"] = options.path;
  json["fs"] = options.data.fs;
  json["pedal"] = options.data.pedal == midi::Pedal::compat ? "compat" : "off";
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
  std::string out = options.path + "\n";
  const auto line = [&](const char* what, const auto& value, const std::string& remark = {}) {
    out += fmt::format("  {:<24}{:>10}{}{}\n", what, value, remark.empty() ? "" : "  ", remark);
  };
  line("songs", data.songs.size(),
       data.skipped.empty() ? "" : fmt::format("({} files skipped)", data.skipped.size()));
  line("columns", columns,
       fmt::format("({:.1f} minutes at {} a second)",
                   static_cast<double>(columns) / options.data.fs / 60, options.data.fs));
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

// safetensors: length of the header (u64, little-endian), the header in JSON, the data.
// https://github.com/huggingface/safetensors
std::vector<uint8_t> batches_file(const midi::Dataset& data, const Options& options) {
  static_assert(std::endian::native == std::endian::little);
  const auto order =
      midi::epoch_order(data, options.data.seed, options.epoch, options.song_group, options.batch);
  const auto samples = static_cast<size_t>(options.batches) * static_cast<size_t>(options.batch);
  if (samples > order.size()) {
    throw std::runtime_error(fmt::format("{}: {} minibatches are wanted, an epoch has {}",
                                         options.path, options.batches,
                                         order.size() / options.batch));
  }
  const size_t inputs_size = samples * midi::kWindow * sizeof(int32_t);
  const size_t targets_size = samples * sizeof(int32_t);
  Json header;
  header["__metadata__"] = {{"vocabulary_size", std::to_string(data.vocabulary.size())},
                            {"softmax_size", std::to_string(data.vocabulary.classes())},
                            {"sha256_vocabulary", data.vocabulary.sha256()},
                            {"seed", std::to_string(options.data.seed)},
                            {"epoch", std::to_string(options.epoch)},
                            {"song_group", std::to_string(options.song_group)}};
  header["inputs"] = {{"dtype", "I32"},
                      {"shape", {options.batches, options.batch, midi::kWindow}},
                      {"data_offsets", {0, inputs_size}}};
  header["targets"] = {{"dtype", "I32"},
                       {"shape", {options.batches, options.batch}},
                       {"data_offsets", {inputs_size, inputs_size + targets_size}}};
  std::string head = header.dump();
  head.resize((head.size() + 7) / 8 * 8, ' ');  // so that the data is aligned

  std::vector<uint8_t> bytes;
  bytes.reserve(8 + head.size() + inputs_size + targets_size);
  const auto put = [&](const void* from, size_t size) {
    const auto* begin = static_cast<const uint8_t*>(from);
    bytes.insert(bytes.end(), begin, begin + size);
  };
  const uint64_t head_size = head.size();
  put(&head_size, sizeof head_size);
  put(head.data(), head.size());
  const auto windows = std::span(order).first(samples);
  for (const int64_t o : windows) put(data.input(o), midi::kWindow * sizeof(int32_t));
  for (const int64_t o : windows) {
    const int32_t target = data.target(o);
    put(&target, sizeof target);
  }
  return bytes;
}

void run(const Options& options) {
  midi::DatasetOptions with_all_cores = options.data;
  with_all_cores.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const auto data = midi::load_dataset(options.path, with_all_cores);
  for (const auto& [file, reason] : data.skipped) {
    fmt::print(stderr, "etude: skipped {}: {}\n", file, reason);
  }
  if (options.batches > 0) {
    midi::write_file_atomically(options.out, batches_file(data, options));
    fmt::print(stderr, "{}: {} minibatches of {}\n", options.out, options.batches, options.batch);
    return;
  }
  const std::string report = options.json ? json_report(data, options) : text_report(data, options);
  std::fwrite(report.data(), 1, report.size(), stdout);
}

}  // namespace

void add_dataset(CLI::App& program) {
  auto* command = program.add_subcommand("dataset", "What a collection of MIDI files amounts to");
  command->footer(kExamples);
  const auto options = std::make_shared<Options>();
  midi::DatasetOptions& data = options->data;
  command->add_option("PATH", options->path, "Folder, MAESTRO table, or MIDI file")->required();
  add_roll_options(*command, data.fs, data.pedal);
  command->add_option("--sample", data.sample, "So many songs, drawn by the seed (0: all)")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--seed", data.seed, "Of the sample and of the epoch's order")
      ->capture_default_str();
  command->add_option("--split", data.split, "Of a MAESTRO table: train, validation, test");
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
