#include "midi/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "midi/error.h"
#include "midi/maestro.h"
#include "midi/sha256.h"
#include "midi/shuffle.h"
#include "midi/smf.h"

namespace etude::midi {
namespace {

namespace fs = std::filesystem;

struct Source {
  fs::path path;
  std::string name;
};

struct Loaded : SoundingColumns {
  std::string fault;  // why it cannot be used; empty if it can
};

bool is_midi(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return extension == ".mid" || extension == ".midi";
}

void keep_split(std::vector<TableRow>& rows, const std::string& split, const std::string& name) {
  if (split.empty()) return;
  std::set<std::string> splits;
  for (const TableRow& row : rows) splits.insert(row.split);
  splits.erase("");
  std::erase_if(rows, [&](const TableRow& row) { return row.split != split; });
  if (rows.empty()) {
    throw Error(name,
                fmt::format("no row of split \"{}\"; there are: {}", split,
                            splits.empty() ? "none" : fmt::format("{}", fmt::join(splits, ", "))));
  }
}

std::vector<Source> sources_of_table(const fs::path& table, const std::string& split) {
  auto rows = read_table(table);
  keep_split(rows, split, table.string());
  std::vector<Source> sources;
  for (const TableRow& row : rows) {
    const fs::path path = table.parent_path() / row.midi_filename;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      throw Error(table.string(), fmt::format("{}: {}: no such file", row.place, path.string()));
    }
    sources.push_back({path, row.midi_filename});
  }
  return sources;
}

std::optional<fs::path> table_in(const fs::path& folder) {
  std::vector<fs::path> tables;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_csv_table(entry.path())) tables.push_back(entry.path());
  }
  if (tables.empty()) return std::nullopt;
  return *std::ranges::min_element(tables);
}

std::vector<Source> sources_of_folder(const fs::path& folder, const std::string& split) {
  std::vector<Source> sources;
  // A folder that may not be read, or a link to nowhere, must not keep the others from being read.
  std::error_code unreadable;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator entry(folder, options), end; entry != end;
       entry.increment(unreadable)) {
    if (!is_midi(entry->path()) || entry->is_directory(unreadable)) continue;
    sources.push_back({entry->path(), entry->path().lexically_relative(folder).generic_string()});
  }
  if (sources.empty()) throw Error(folder.string(), "no .mid or .midi file in the folder");
  std::ranges::sort(sources, {}, &Source::name);

  const auto table = table_in(folder);
  if (!table) {
    if (!split.empty())
      throw Error(folder.string(), "no MAESTRO table in the folder, so no splits");
    return sources;
  }
  auto rows = read_table(*table);
  keep_split(rows, split, table->string());
  std::unordered_map<std::string, size_t> rank;
  for (const TableRow& row : rows) {
    rank.try_emplace(fs::path(row.midi_filename).lexically_normal().generic_string(), rank.size());
  }
  const auto rank_of = [&](const Source& source) {
    const auto place = rank.find(source.name);
    return place == rank.end() ? rank.size() : place->second;
  };
  if (!split.empty()) {
    std::erase_if(sources, [&](const Source& s) { return rank_of(s) == rank.size(); });
    if (sources.empty()) {
      throw Error(folder.string(), fmt::format("no file of split \"{}\" in the folder", split));
    }
  }
  std::ranges::stable_sort(sources, {}, rank_of);
  return sources;
}

std::vector<Source> list_sources(const fs::path& path, const std::string& split) {
  try {
    if (!fs::exists(path)) throw Error(path.string(), "no such file or folder");
    if (fs::is_directory(path)) return sources_of_folder(path, split);
  } catch (const fs::filesystem_error& error) {
    throw Error(path.string(), error.code().message());
  }
  if (is_table(path)) return sources_of_table(path, split);
  if (!split.empty()) throw Error(path.string(), "a single MIDI file has no splits");
  return {{path, path.filename().string()}};
}

Loaded load(const Source& source, const RollOptions& options) {
  Loaded loaded;
  try {
    static_cast<SoundingColumns&>(loaded) = read_sounding_columns(source.path, options);
  } catch (const Error& error) {
    loaded.fault = error.why;
  } catch (const std::exception& error) {  // out of memory; it must not leave a thread
    loaded.fault = error.what();
  }
  return loaded;
}

std::vector<Loaded> load_all(const std::vector<const Source*>& sources, const RollOptions& options,
                             int threads) {
  std::vector<Loaded> loaded(sources.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i; (i = next++) < sources.size();) loaded[i] = load(*sources[i], options);
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads && static_cast<size_t>(i) < sources.size(); ++i) {
    others.emplace_back(work);
  }
  work();
  others.clear();
  return loaded;
}

struct Piece {
  Source source;
  Loaded loaded;
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
  std::vector<std::pair<size_t, Loaded>> good, bad;
  for (size_t read = 0; read < order.size() && good.size() < wanted;) {
    const size_t count = std::min(wanted - good.size(), order.size() - read);
    std::vector<const Source*> now;
    for (size_t i = read; i < read + count; ++i) now.push_back(&sources[order[i]]);
    auto loaded = load_all(now, {options.fs, options.pedal}, options.threads);
    for (size_t i = 0; i < count; ++i) {
      auto& list = loaded[i].fault.empty() ? good : bad;
      list.emplace_back(order[read + i], std::move(loaded[i]));
    }
    read += count;
  }
  for (auto* list : {&good, &bad}) {
    std::ranges::sort(*list, {}, &std::pair<size_t, Loaded>::first);
  }
  for (const auto& [i, loaded] : bad) skipped.push_back({sources[i].name, loaded.fault});
  std::vector<Piece> pieces;
  for (auto& [i, loaded] : good) pieces.push_back({sources[i], std::move(loaded)});
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
  if (pieces.empty()) throw Error(path.string(), "no MIDI file that can be used" + first());
  if (options.sample > 0 && pieces.size() < static_cast<size_t>(options.sample)) {
    throw Error(path.string(), fmt::format("a sample of {} songs is wanted, there are {}{}",
                                           options.sample, pieces.size(), first()));
  }
}

void append(Dataset& dataset, const Piece& piece) {
  const Loaded& loaded = piece.loaded;
  const auto steps = static_cast<int64_t>(loaded.steps.size());
  dataset.songs.push_back(
      {piece.source.name, loaded.columns, loaded.first, loaded.first + steps - 1, loaded.sounding,
       static_cast<int64_t>(dataset.tokens.size()), steps - 1, piece.source.path});
  dataset.tokens.insert(dataset.tokens.end(), kWindow - 1, dataset.vocabulary.silence());
  for (const PitchSet pitches : loaded.steps) {
    const int32_t token = dataset.vocabulary.find(pitches);
    dataset.tokens.push_back(token);
    if (token == 0) ++dataset.unknown_tokens;
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
      for (const PitchSet pitches : piece.loaded.steps) dataset.vocabulary.add(pitches);
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

SoundingColumns read_sounding_columns(const fs::path& path, const RollOptions& options) {
  const PianoRoll roll = make_piano_roll(read_score(path), options);
  const auto sounds = [](PitchSet pitches) { return !pitches.empty(); };
  const auto begin = std::ranges::find_if(roll.played, sounds);
  if (begin == roll.played.end())
    throw Error(path.string(), fmt::format("no column sounds at {} columns a second", options.fs));
  const auto end = std::find_if(roll.played.rbegin(), roll.played.rend(), sounds).base();
  return {
      {begin, end}, roll.columns(), begin - roll.played.begin(), std::count_if(begin, end, sounds)};
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
