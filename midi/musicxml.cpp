#include "midi/musicxml.h"

#include <fmt/format.h>

#include "midi/error.h"
#include "midi/musicxml_model.h"
#include "midi/smf.h"

namespace etude::midi {

Score parse_musicxml(std::span<const uint8_t> bytes, const std::string& name) {
  if (bytes.size() > kMaxFileBytes) {
    throw LimitError(
        name, fmt::format("{} bytes, more than {} are not read", bytes.size(), kMaxFileBytes));
  }
  Score score;
  score.name = name;
  musicxml::Findings found(score.found);
  const std::string text = musicxml::utf8_text(bytes, name, found);
  const musicxml::Piece piece = musicxml::read_piece(text, name, found);
  const auto order = musicxml::play_order(piece.signs, kMaxEvents, name, found);
  musicxml::write_events(piece, order, score, found);
  return score;
}

}  // namespace etude::midi
