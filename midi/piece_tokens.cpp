#include "midi/piece_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_map>

#include "midi/error.h"
#include "midi/files.h"
#include "midi/score_file.h"
#include "midi/sha256.h"

namespace etude::midi {
namespace {

namespace fs = std::filesystem;

// Whatever changes what a file's tokens are must change this.
constexpr std::string_view kMeaning = "etude tokens 1";

SoundingColumns sounding_columns(const Score& score, const RollOptions& options) {
  const PianoRoll roll = make_piano_roll(score, options);
  const auto sounds = [](PitchSet pitches) { return !pitches.empty(); };
  const auto begin = std::ranges::find_if(roll.played, sounds);
  if (begin == roll.played.end())
    throw Error(score.name, fmt::format("no column sounds at {} columns a second", options.fs));
  const auto end = std::find_if(roll.played.rbegin(), roll.played.rend(), sounds).base();
  return {
      {begin, end}, roll.columns(), begin - roll.played.begin(), std::count_if(begin, end, sounds)};
}

PieceTokens number(const SoundingColumns& columns) {
  PieceTokens tokens{columns.columns, columns.first, columns.sounding, {}, {}, {}};
  tokens.steps.reserve(columns.steps.size());
  std::unordered_map<PitchSet, int32_t, PitchSetHash> numbers;
  PitchSet last;
  int32_t number = 0;
  for (const PitchSet pitches : columns.steps) {
    if (pitches != last) {
      last = pitches;
      const auto next = static_cast<int32_t>(tokens.chords.size()) + 1;
      const auto [place, is_new] = numbers.try_emplace(pitches, pitches.empty() ? 0 : next);
      if (is_new && !pitches.empty()) tokens.chords.push_back(pitches);
      number = place->second;
    }
    tokens.steps.push_back(number);
  }
  return tokens;
}

// What `act` throws becomes a fault: it must not leave its thread. `passing`: another time it may
// be none (out of memory).
struct Fault {
  std::string why;
  bool passing = false;
};
template <class Act>
Fault fault_of(Act act) {
  try {
    act();
    return {};
  } catch (const Error& error) {
    return {error.why};
  } catch (const std::exception& error) {
    return {error.what(), true};
  }
}

// Calls work(i) for all i below `count`, on so many threads.
template <class Work>
void share_out(size_t count, int threads, Work work) {
  std::atomic<size_t> next = 0;
  const auto take = [&] {
    for (size_t i; (i = next++) < count;) work(i);
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads && static_cast<size_t>(i) < count; ++i) others.emplace_back(take);
  take();
}

std::string content_of(std::span<const uint8_t> bytes) {
  Sha256 hash;
  hash.add(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return hash.hex();
}

// `contents`: each file's SHA-256, or why it cannot be read.
std::string key_of(const RollOptions& options, std::span<const std::string> contents) {
  Sha256 hash;
  hash.add(fmt::format("{}\nfs {}\npedal {}\n", kMeaning, options.fs, name_of(options.pedal)));
  for (const std::string& content : contents) hash.add(content + "\n");
  return hash.hex();
}

std::vector<std::string> contents_of(std::span<const fs::path> paths, int threads) {
  std::vector<std::string> contents(paths.size());
  share_out(paths.size(), threads, [&](size_t i) {
    const Fault fault =
        fault_of([&] { contents[i] = content_of(read_file(paths[i], kMaxFileBytes)); });
    if (!fault.why.empty()) contents[i] = fault.why;
  });
  return contents;
}

}  // namespace

SoundingColumns read_sounding_columns(const fs::path& path, const RollOptions& options) {
  return sounding_columns(read_score(path), options);
}

std::vector<PieceTokens> read_piece_tokens(std::span<const fs::path> paths,
                                           const RollOptions& options, int threads,
                                           const TokenCache& cache) {
  if (cache.enabled()) {
    if (auto known = cache.find(key_of(options, contents_of(paths, threads)));
        known && known->size() == paths.size()) {
      return std::move(*known);
    }
  }
  // Read anew, and keyed by what was read now: a file may have changed since.
  std::vector<PieceTokens> pieces(paths.size());
  std::vector<std::string> contents(paths.size());
  std::atomic<bool> passing = false;
  share_out(paths.size(), threads, [&](size_t i) {
    const Fault fault = fault_of([&] {
      const auto bytes = read_file(paths[i], kMaxFileBytes);
      if (cache.enabled()) contents[i] = content_of(bytes);
      const Score score = parse_score(bytes, paths[i].string());
      pieces[i] = number(sounding_columns(score, options));
    });
    pieces[i].fault = fault.why;
    if (contents[i].empty()) contents[i] = fault.why;
    if (fault.passing) passing = true;
  });
  if (!passing) cache.keep(key_of(options, contents), pieces);
  return pieces;
}

}  // namespace etude::midi
