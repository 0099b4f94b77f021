// Etude's side of midi_readers.py: reads the same files again and again, as it is told in lines of
// JSON on stdin, and answers each with milliseconds and counts.

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "midi/dataset.h"
#include "midi/error.h"
#include "midi/files.h"
#include "midi/instrument.h"
#include "midi/smf.h"
#include "midi/tempo.h"

namespace {

namespace midi = etude::midi;
using Json = nlohmann::json;

struct Files {
  std::string folder;
  std::string cache;
  std::vector<std::vector<uint8_t>> bytes;  // of each file, read before any time is taken
};

Json events(const Files& files) {
  size_t count = 0;
  for (const auto& bytes : files.bytes) {
    for (const auto& track : midi::parse_smf(bytes, "file").tracks) count += track.events.size();
  }
  return {{"events", count}};
}

// To notes in ticks; with `seconds`, each note's start and end in seconds too, as sums.
Json notes(const Files& files, bool seconds) {
  size_t count = 0;
  double sum = 0;
  for (const auto& bytes : files.bytes) {
    const auto score = midi::parse_smf(bytes, "file");
    const auto instruments = midi::instruments(score);
    const auto tempo = midi::TempoMap::of_track(score, 0);
    for (const auto& instrument : instruments) {
      count += instrument.notes.size();
      if (!seconds) continue;
      for (const auto& note : instrument.notes)
        sum += tempo.seconds(note.end).count - tempo.seconds(note.start).count;
    }
  }
  Json answer = {{"notes", count}};
  if (seconds) answer["sounding"] = sum;
  return answer;
}

Json tokens(const Files& files, int threads, const std::string& cache) {
  midi::DatasetOptions options;
  options.threads = threads;
  options.cache_folder = cache;
  const auto data = midi::load_dataset(files.folder, options);
  return {{"vocabulary", data.vocabulary.size()},
          {"tokens", data.tokens.size()},
          {"steps", data.steps_with_notes()}};
}

Json answer(const Files& files, const std::string& what) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const auto begin = std::chrono::steady_clock::now();
  Json result;
  if (what == "events") {
    result = events(files);
  } else if (what == "notes" || what == "seconds") {
    result = notes(files, what == "seconds");
  } else if (what == "tokens") {
    result = tokens(files, 1, {});
  } else if (what == "tokens, all cores") {
    result = tokens(files, cores, {});
  } else if (what == "tokens, cached") {
    result = tokens(files, 1, files.cache);
  } else {
    throw std::invalid_argument(fmt::format("\"{}\" is not known here", what));
  }
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  result["ms"] = spent.count();
  return result;
}

int run(int argc, char** argv) {
  if (argc < 4) throw std::invalid_argument("usage: bench_midi_readers FOLDER CACHE FILE...");
  Files files{argv[1], argv[2], {}};
  for (int i = 3; i < argc; ++i)
    files.bytes.push_back(midi::read_file(argv[i], midi::kMaxFileBytes));
  std::cout << Json{{"versions", Json::object()}} << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(files, Json::parse(line).at("do")) << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
