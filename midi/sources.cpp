#include "midi/sources.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>

#include "midi/error.h"
#include "midi/files.h"
#include "midi/maestro.h"
#include "midi/score_file.h"

namespace etude::midi {
namespace {

namespace fs = std::filesystem;

// Not .xml, which may be anything.
bool is_score(const fs::path& path) { return kind_of(path) && lower_extension(path) != ".xml"; }

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
    if (!is_score(entry->path()) || entry->is_directory(unreadable)) continue;
    sources.push_back({entry->path(), entry->path().lexically_relative(folder).generic_string()});
  }
  if (sources.empty())
    throw Error(folder.string(),
                "no MIDI or MusicXML file (.mid, .midi, .musicxml, .mxl) in the folder");
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

}  // namespace

std::vector<Source> list_sources(const fs::path& path, const std::string& split) {
  try {
    if (!fs::exists(path)) throw Error(path.string(), "no such file or folder");
    if (fs::is_directory(path)) return sources_of_folder(path, split);
  } catch (const fs::filesystem_error& error) {
    throw Error(path.string(), error.code().message());
  }
  if (is_table(path)) return sources_of_table(path, split);
  if (!split.empty()) throw Error(path.string(), "a single piece has no splits");
  return {{path, path.filename().string()}};
}

}  // namespace etude::midi
