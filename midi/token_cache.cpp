#include "midi/token_cache.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <system_error>

#include "midi/error.h"
#include "midi/files.h"
#include "midi/piece_tokens.h"
#include "midi/sha256.h"

namespace etude::midi {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little);

// Head, key, pieces, SHA-256 of all of it as text. Numbers are little-endian, 64 bits but for the
// steps.
constexpr std::string_view kHead = "etude token cache 2\n";
constexpr size_t kHashLength = 64;

class Writer {
 public:
  void add(int64_t number) { add_bytes(&number, sizeof number); }
  void add(std::string_view text) {
    add(static_cast<int64_t>(text.size()));
    add_bytes(text.data(), text.size());
  }
  template <class T>
  void add(const std::vector<T>& values) {
    add(static_cast<int64_t>(values.size()));
    add_bytes(values.data(), values.size() * sizeof(T));
  }
  void add_bytes(const void* bytes, size_t count) {
    bytes_.append(static_cast<const char*>(bytes), count);
  }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_;
};

// good() turns false where the bytes end too soon; what was read then is empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  int64_t number() {
    int64_t value = 0;
    copy(&value, sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> values() {
    const auto count = static_cast<uint64_t>(number());
    if (count > rest_.size() / sizeof(T)) return good_ = false, std::vector<T>{};
    std::vector<T> all(count);
    copy(all.data(), count * sizeof(T));
    return all;
  }
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

 private:
  void copy(void* to, size_t count) {
    if (count > rest_.size()) {
      good_ = false;
      return;
    }
    if (count > 0) std::memcpy(to, rest_.data(), count);
    rest_.remove_prefix(count);
  }

  std::string_view rest_;
  bool good_ = true;
};

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

PieceTokens read_piece(Reader& reader) {
  PieceTokens piece;
  piece.columns = reader.number();
  piece.first = reader.number();
  piece.sounding = reader.number();
  piece.chords = reader.values<PitchSet>();
  piece.steps = reader.values<int32_t>();
  const auto fault = reader.values<char>();
  piece.fault.assign(fault.begin(), fault.end());
  return piece;
}

bool makes_sense(const PieceTokens& piece) {
  const auto chords = static_cast<int64_t>(piece.chords.size());
  return piece.steps.empty() != piece.fault.empty() &&
         std::ranges::all_of(piece.steps, [&](int32_t s) { return s >= 0 && s <= chords; });
}

std::optional<std::vector<PieceTokens>> parse(std::string_view bytes, const std::string& key) {
  const std::string head = std::string(kHead) + key;
  if (bytes.size() < head.size() + kHashLength || !bytes.starts_with(head)) return std::nullopt;
  const auto content = bytes.substr(0, bytes.size() - kHashLength);
  if (sha256(content) != bytes.substr(content.size())) return std::nullopt;
  Reader reader(content.substr(head.size()));
  std::vector<PieceTokens> pieces;
  while (!reader.at_end()) {
    pieces.push_back(read_piece(reader));
    if (!reader.good() || !makes_sense(pieces.back())) return std::nullopt;
  }
  return pieces;
}

}  // namespace

std::optional<std::vector<PieceTokens>> TokenCache::find(const std::string& key) const {
  if (!enabled()) return std::nullopt;
  const fs::path path = path_of(key);
  try {
    const auto bytes = read_file(path, kMostBytes);
    auto pieces = parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, key);
    std::error_code ignored;  // the time of its last use decides what goes first
    if (pieces) fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
    return pieces;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void TokenCache::keep(const std::string& key, const std::vector<PieceTokens>& pieces) const {
  if (!enabled()) return;
  Writer writer;
  writer.add_bytes(kHead.data(), kHead.size());
  writer.add_bytes(key.data(), key.size());
  for (const PieceTokens& piece : pieces) {
    writer.add(piece.columns);
    writer.add(piece.first);
    writer.add(piece.sounding);
    writer.add(piece.chords);
    writer.add(piece.steps);
    writer.add(std::string_view(piece.fault));
  }
  writer.bytes() += sha256(writer.bytes());
  if (writer.bytes().size() > kMostBytes) return;
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  make_room(writer.bytes().size());
  try {
    write_file_atomically(path_of(key), writer.bytes());
  } catch (const Error&) {  // as if there were no cache
  }
}

void TokenCache::make_room(size_t bytes) const {
  struct Entry {
    fs::file_time_type used;
    fs::path path;
    size_t size;
  };
  std::vector<Entry> entries;
  std::error_code ignored;
  for (fs::directory_iterator entry(folder_, ignored), end; entry != end;
       entry.increment(ignored)) {
    // (KEY.tokens.XXXXXX: what a writer left that was killed, or is writing now.)
    if (entry->path().filename().string().find(".tokens") == std::string::npos ||
        !entry->is_regular_file(ignored))
      continue;
    entries.push_back({entry->last_write_time(ignored), entry->path(), entry->file_size(ignored)});
    bytes += entries.back().size;
  }
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& entry : entries) {
    if (bytes <= kMostBytes) break;
    fs::remove(entry.path, ignored);
    bytes -= entry.size;
  }
}

}  // namespace etude::midi
