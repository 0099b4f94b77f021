#include "apps/datasets.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "apps/cache_folder.h"
#include "engine/error.h"
#include "midi/archive.h"
#include "midi/files.h"
#include "midi/maestro.h"
#include "midi/sha256.h"

namespace etude::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// magenta.tensorflow.org/datasets/maestro
constexpr std::array kMaestro = {KnownDataset{
    3, "MAESTRO 3.0.0", "maestro-v3.0.0", "maestro-v3.0.0.csv",
    "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",
    "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c"}};

// Beside the files that were unpacked: of which archive they are, and how much.
constexpr const char* kRecord = ".fetched.json";

struct Content {
  uint64_t files = 0, bytes = 0;
  bool operator==(const Content&) const = default;
};

Content content_of(const fs::path& folder) {
  Content content;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path() == folder / kRecord) continue;
    ++content.files;
    content.bytes += entry.file_size();
  }
  return content;
}

std::string fault_of_record(const fs::path& folder, const std::string& sha256) {
  try {
    const auto text = midi::read_file(folder / kRecord, 1 << 16);
    const Json record = Json::parse(text);
    if (record.at("sha256").get<std::string>() != sha256) return "it is of another archive";
    const Content noted{record.at("files").get<uint64_t>(), record.at("bytes").get<uint64_t>()};
    return content_of(folder) == noted ? "" : "files were added, removed or changed";
  } catch (const std::exception&) {
    return "it is not as it was unpacked";
  }
}

// The pieces of a table, all of which must be there.
size_t count_pieces(const fs::path& table) {
  const auto rows = midi::read_table(table);
  for (const midi::TableRow& row : rows) {
    if (!fs::is_regular_file(table.parent_path() / row.midi_filename))
      throw Error(
          fmt::format("{}: {}: {} is not there", table.string(), row.place, row.midi_filename));
  }
  return rows.size();
}

const KnownDataset* known_as(std::string_view name) {
  if (name == "maestro") return &kMaestro.back();
  for (const KnownDataset& dataset : kMaestro)
    if (name == fmt::format("maestro-v{}", dataset.version)) return &dataset;
  return nullptr;
}

// What is unpacked here goes on every way out.
class TemporaryUnpacked {
 public:
  explicit TemporaryUnpacked(fs::path path) : path_(std::move(path)) { remove(); }
  ~TemporaryUnpacked() { remove(); }
  TemporaryUnpacked(const TemporaryUnpacked&) = delete;
  TemporaryUnpacked& operator=(const TemporaryUnpacked&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void remove() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path path_;
};

}  // namespace

std::span<const KnownDataset> maestro_versions() { return kMaestro; }

fs::path fetched_folder() {
  const auto folder = cache_folder();
  if (!folder) throw Error("neither XDG_CACHE_HOME nor HOME says where fetched data are");
  return *folder;
}

fs::path resolve_data(const fs::path& path) {
  const KnownDataset* dataset = known_as(path.string());
  std::error_code ignored;
  if (!dataset || fs::exists(path, ignored)) return path;
  const fs::path table = fetched_folder() / dataset->folder / dataset->table;
  if (!fs::exists(table, ignored))
    throw Error(
        fmt::format("{}: not fetched yet, and nothing here is called so: run "
                    "`etude fetch maestro`",
                    path.string()));
  return table;
}

Installed installed(const KnownDataset& dataset, const std::string& sha256) {
  const fs::path folder = fetched_folder() / dataset.folder;
  if (!fs::exists(folder)) return {{}, 0, "it is not there"};
  if (const std::string fault = fault_of_record(folder, sha256); !fault.empty())
    return {{}, 0, fault};
  const fs::path table = folder / dataset.table;
  return {table, count_pieces(table), {}};
}

Installed install(const KnownDataset& dataset, std::vector<uint8_t> archive,
                  const std::string& name, const std::string& sha256) {
  midi::Sha256 sum;
  sum.add({reinterpret_cast<const char*>(archive.data()), archive.size()});
  if (const std::string found = sum.hex(); found != sha256)
    throw Error(fmt::format("{}: its sha256 is {}, not {}", name, found, sha256));

  const fs::path target = fetched_folder() / dataset.folder;
  const TemporaryUnpacked unpacked(target.string() + ".new");
  midi::Archive(std::move(archive), name).unpack(unpacked.path());
  const fs::path folder = unpacked.path() / dataset.folder;
  const fs::path table = folder / dataset.table;
  if (!fs::is_regular_file(table))
    throw Error(fmt::format("{}: no {}/{} in it", name, dataset.folder, dataset.table));
  const size_t pieces = count_pieces(table);
  const Content content = content_of(folder);
  const Json record = {{"sha256", sha256}, {"files", content.files}, {"bytes", content.bytes}};
  midi::write_file_atomically(folder / kRecord, record.dump() + "\n");

  const TemporaryUnpacked before(target.string() + ".old");
  if (fs::exists(target)) fs::rename(target, before.path());
  fs::rename(folder, target);
  return {target / dataset.table, pieces, {}};
}

}  // namespace etude::apps
