#include "midi/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "midi/error.h"
#include "midi/maestro.h"
#include "midi/piece_tokens.h"
#include "midi/sha256.h"
#include "midi/shuffle.h"
#include "midi/sources.h"

namespace etude::midi {
namespace {

namespace fs = std::filesystem;

struct Piece {
  Source source;
  PieceTokens tokens;
};

// Reads what is wanted. Broken files are not among a sample: the draw goes on until it is full.
std::vector<Piece> read_pieces(const std::vector<Source>& sources, const DatasetOptions& options,
                               std::vector<Skipped>& skipped) {
  std::vector<size_t> order(sources.size());
  std::iota(order.begin(), order.end(), size_t{0});
  size_t wanted = order.size();
  if (options.sample > 0) {
    wanted = static_cast<size_t>(options.sample);
    std::mt19937_64 random(mixed_seed(options.seed, 0));
    shuffle(std::span(order), random);
  }
  std::vector<std::pair<size_t, PieceTokens>> good, bad;
  for (size_t read = 0; read < order.size() && good.size() < wanted;) {
    const size_t count = std::min(wanted - good.size(), order.size() - read);
    std::vector<fs::path> now;
    for (size_t i = read; i < read + count; ++i) now.push_back(sources[order[i]].path);
    auto pieces = read_piece_tokens(now, {options.fs, options.pedal}, options.threads,
                                    TokenCache(options.cache_folder));
    for (size_t i = 0; i < count; ++i) {
      auto& list = pieces[i].fault.empty() ? good : bad;
      list.emplace_back(order[read + i], std::move(pieces[i]));
    }
    read += count;
  }
  for (auto* list : {&good, &bad}) {
    std::ranges::sort(*list, {}, &std::pair<size_t, PieceTokens>::first);
  }
  for (const auto& [i, piece] : bad) skipped.push_back({sources[i].name, piece.fault});
  std::vector<Piece> pieces;
  for (auto& [i, piece] : good) pieces.push_back({sources[i], std::move(piece)});
  return pieces;
}

void check_enough(const fs::path& path, const std::vector<Piece>& pieces, const Dataset& dataset,
                  const DatasetOptions& options, size_t sources) {
  const auto first = [&] {
    const auto& skipped = dataset.skipped;
    if (skipped.empty()) return std::string();
    return fmt::format("; {} skipped, the first: {}: {}", skipped.size(), skipped[0].file,
                       skipped[0].reason);
  };
  if (pieces.empty() && sources == 1 && !dataset.skipped.empty() && !fs::is_directory(path) &&
      !is_table(path)) {
    throw Error(path.string(), dataset.skipped[0].reason);
  }
  if (pieces.empty()) throw Error(path.string(), "no file that can be used" + first());
  if (options.sample > 0 && pieces.size() < static_cast<size_t>(options.sample)) {
    throw Error(path.string(), fmt::format("a sample of {} songs is wanted, there are {}{}",
                                           options.sample, pieces.size(), first()));
  }
}

void append(Dataset& dataset, const Piece& piece) {
  const PieceTokens& tokens = piece.tokens;
  const auto steps = static_cast<int64_t>(tokens.steps.size());
  dataset.songs.push_back(
      {piece.source.name, tokens.columns, tokens.first, tokens.first + steps - 1, tokens.sounding,
       static_cast<int64_t>(dataset.tokens.size()), steps - 1, piece.source.path});
  const int32_t silence = dataset.vocabulary.silence();
  std::vector<int32_t> index = {silence};  // of the piece's own numbers
  for (const PitchSet chord : tokens.chords) index.push_back(dataset.vocabulary.find(chord));
  dataset.tokens.insert(dataset.tokens.end(), kWindow - 1, silence);
  for (const int32_t step : tokens.steps) {
    const int32_t token = index[static_cast<size_t>(step)];
    dataset.tokens.push_back(token);
    dataset.unknown_tokens += token == 0;
  }
}

Dataset load(const fs::path& path, const DatasetOptions& options, const Vocabulary* fixed) {
  if (!(options.fs > 0 && std::isfinite(options.fs)))
    throw std::invalid_argument("fs, the columns a second, must be above 0");
  if (options.sample < 0) throw std::invalid_argument("a sample of songs cannot be negative");
  const auto sources = list_sources(path, options.split);
  Dataset dataset;
  const auto pieces = read_pieces(sources, options, dataset.skipped);
  check_enough(path, pieces, dataset, options, sources.size());
  if (fixed) {
    dataset.vocabulary = *fixed;
  } else {
    for (const Piece& piece : pieces) {
      for (const PitchSet chord : piece.tokens.chords) dataset.vocabulary.add(chord);
    }
  }
  for (const Piece& piece : pieces) append(dataset, piece);
  dataset.each_window([&](int64_t o) { dataset.unknown_targets += dataset.target(o) == 0; });
  return dataset;
}

void check_positive(int song_group, int batch) {
  if (song_group < 1 || batch < 1) {
    throw std::invalid_argument("song group and batch must be 1 or more");
  }
}

}  // namespace

int64_t Dataset::samples() const {
  int64_t count = 0;
  for (const Song& song : songs) count += song.samples;
  return count;
}

int64_t Dataset::steps_with_notes() const {
  int64_t count = 0;
  for (const Song& song : songs) count += song.steps_with_notes;
  return count;
}

Dataset load_dataset(const fs::path& path, const DatasetOptions& options) {
  return load(path, options, nullptr);
}

Dataset load_dataset(const fs::path& path, const DatasetOptions& options, const Vocabulary& fixed) {
  return load(path, options, &fixed);
}

std::vector<int64_t> epoch_order(const Dataset& dataset, uint64_t seed, int epoch, int song_group,
                                 int batch) {
  check_positive(song_group, batch);
  std::mt19937_64 random(mixed_seed(seed, static_cast<uint64_t>(epoch) + 1));
  std::vector<const Song*> songs;
  for (const Song& song : dataset.songs) songs.push_back(&song);
  shuffle(std::span(songs), random);

  std::vector<int64_t> order;
  order.reserve(static_cast<size_t>(dataset.samples()));
  const auto group_size = static_cast<size_t>(song_group);
  for (size_t first = 0; first < songs.size(); first += group_size) {
    const size_t begin = order.size();
    for (size_t i = first; i < std::min(first + group_size, songs.size()); ++i) {
      for (int64_t w = 0; w < songs[i]->samples; ++w) order.push_back(songs[i]->first_token + w);
    }
    shuffle(std::span(order).subspan(begin), random);
    order.resize(order.size() - (order.size() - begin) % static_cast<size_t>(batch));
  }
  return order;
}

std::vector<SongGroup> song_groups(const Dataset& dataset, int song_group, int batch) {
  check_positive(song_group, batch);
  std::vector<SongGroup> groups;
  for (size_t i = 0; i < dataset.songs.size(); ++i) {
    if (i % static_cast<size_t>(song_group) == 0) groups.push_back({});
    ++groups.back().songs;
    groups.back().samples += dataset.songs[i].samples;
  }
  for (SongGroup& group : groups) {
    group.minibatches = group.samples / batch;
    group.dropped = group.samples % batch;
  }
  return groups;
}

std::string sha256_targets(const Dataset& dataset) {
  Sha256 hash;
  for (const Song& song : dataset.songs) {
    hash.add(std::span(dataset.tokens)
                 .subspan(static_cast<size_t>(song.first_token + kWindow),
                          static_cast<size_t>(song.samples)));
  }
  return hash.hex();
}

std::string sha256_windows(const Dataset& dataset) {
  Sha256 hash;
  dataset.each_window([&](int64_t offset) {
    hash.add(std::span(dataset.input(offset), static_cast<size_t>(kWindow)));
  });
  return hash.hex();
}

}  // namespace etude::midi
