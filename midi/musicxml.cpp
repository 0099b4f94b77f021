#include "midi/musicxml.h"

#include <fmt/format.h>

#include <algorithm>

#include "midi/archive.h"
#include "midi/error.h"
#include "midi/musicxml_model.h"
#include "midi/musicxml_xml.h"
#include "midi/smf.h"

namespace etude::midi {
namespace {

constexpr const char* kContainer = "META-INF/container.xml";
constexpr size_t kMaxContainerBytes = size_t{1} << 20;
// No score's text shrinks that far; small ones may be as repetitive as they like.
constexpr size_t kMaxRatio = UnpackLimits{}.ratio;
constexpr size_t kSmallScore = size_t{1} << 20;

// Empty where the container names none.
std::string root_file(const std::vector<uint8_t>& container, const std::string& name) {
  std::vector<Finding> ignored;
  musicxml::Notices found(ignored, name, Reading::tolerant);
  const std::string text = musicxml::utf8_text(container, name, found);
  const auto document = musicxml::parse_xml(text, name);
  const auto* files = document->RootElement()->FirstChildElement("rootfiles");
  if (!files) return {};
  for (const musicxml::Element& file : musicxml::Children(*files)) {
    const auto type = musicxml::attribute(file, "media-type");
    const bool fits = type.empty() || type == "application/vnd.recordare.musicxml+xml";
    if (musicxml::is(file, "rootfile") && fits)
      return std::string(musicxml::attribute(file, "full-path"));
  }
  return {};
}

}  // namespace

Score parse_musicxml(std::span<const uint8_t> bytes, const std::string& name, Reading reading) {
  if (bytes.size() > kMaxFileBytes) {
    throw LimitError(
        name, fmt::format("{} bytes, more than {} are not read", bytes.size(), kMaxFileBytes));
  }
  Score score;
  score.name = name;
  score.place_unit = "line";
  musicxml::Notices found(score.found, name, reading);
  const std::string text = musicxml::utf8_text(bytes, name, found);
  const musicxml::Piece piece = musicxml::read_piece(text, name, found);
  const auto order = musicxml::play_order(piece.signs, kMaxEvents, name, found);
  musicxml::write_events(piece, order, score, found);
  return score;
}

Score parse_mxl(std::span<const uint8_t> bytes, const std::string& name, Reading reading) {
  const Archive archive({bytes.begin(), bytes.end()}, name);
  const std::string inside = name + ": " + kContainer;
  const std::string file = root_file(archive.read(kContainer, kMaxContainerBytes), inside);
  if (file.empty()) throw Error(inside, "it names no MusicXML file");
  const size_t limit = std::clamp(kMaxRatio * bytes.size(), kSmallScore, kMaxFileBytes);
  Score score = parse_musicxml(archive.read(file, limit), name + ": " + file, reading);
  score.name = name;
  return score;
}

}  // namespace etude::midi
