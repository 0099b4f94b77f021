#include "midi/score_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "midi/archive.h"
#include "midi/error.h"
#include "midi/files.h"
#include "midi/musicxml.h"
#include "midi/musicxml_write.h"
#include "midi/smf_write.h"
#include "midi/text.h"

namespace etude::midi {
namespace {

using Bytes = std::span<const uint8_t>;

bool begins_with(Bytes bytes, std::string_view mark) {
  return bytes.size() >= mark.size() &&
         std::equal(mark.begin(), mark.end(), bytes.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

bool is_xml(Bytes bytes) {
  if (begins_with(bytes, "\xEF\xBB\xBF") || begins_with(bytes, "\xFE\xFF") ||
      begins_with(bytes, "\xFF\xFE") || begins_with(bytes, std::string_view("\0<", 2)))
    return true;
  const auto first = std::ranges::find_if(bytes, [](uint8_t byte) {
    return byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n';
  });
  return first != bytes.end() && *first == '<';
}

// A container (w3.org/2021/06/musicxml40/tutorial/compressed-mxl-files).
std::vector<uint8_t> compressed(const std::string& music) {
  constexpr std::string_view kType = "application/vnd.recordare.musicxml";
  constexpr std::string_view kContainer =
      R"(<?xml version="1.0" encoding="UTF-8"?>
<container>
  <rootfiles>
    <rootfile full-path="score.musicxml" media-type="application/vnd.recordare.musicxml+xml"/>
  </rootfiles>
</container>
)";
  const std::array entries = {NewArchiveEntry{"mimetype", bytes_of(kType), true},
                              NewArchiveEntry{"META-INF/container.xml", bytes_of(kContainer)},
                              NewArchiveEntry{"score.musicxml", bytes_of(music)}};
  return write_archive(entries);
}

ScoreKind kind_to_write(const std::filesystem::path& path) {
  if (const auto kind = kind_of(path)) return *kind;
  throw Error(path.string(), fmt::format("its name ends with none of {}", kScoreExtensions));
}

}  // namespace

Score parse_score(Bytes bytes, const std::string& name, Reading reading) {
  if (begins_with(bytes, "PK\3\4")) return parse_mxl(bytes, name, reading);
  return is_xml(bytes) ? parse_musicxml(bytes, name, reading) : parse_smf(bytes, name, reading);
}

Score read_score(const std::filesystem::path& path, Reading reading) {
  return parse_score(read_file(path, kMaxFileBytes), path.string(), reading);
}

std::optional<ScoreKind> kind_of(const std::filesystem::path& path) {
  const std::string extension = lower_extension(path);
  if (extension == ".mid" || extension == ".midi") return ScoreKind::midi;
  if (extension == ".musicxml" || extension == ".xml") return ScoreKind::musicxml;
  if (extension == ".mxl") return ScoreKind::compressed_musicxml;
  return std::nullopt;
}

void write_score(const std::filesystem::path& path, const Score& score,
                 const GridOptions& options) {
  if (kind_to_write(path) == ScoreKind::midi) {
    write_file_atomically(path, write_smf(score));
  } else {
    write_score(path, quantise(score, options));
  }
}

void write_score(const std::filesystem::path& path, const GridScore& music) {
  switch (kind_to_write(path)) {
    case ScoreKind::midi:
      return write_file_atomically(path, write_smf(to_score(music)));
    case ScoreKind::musicxml:
      return write_file_atomically(path, write_musicxml(music));
    case ScoreKind::compressed_musicxml:
      return write_file_atomically(path, compressed(write_musicxml(music)));
  }
}

}  // namespace etude::midi
