#include "midi/text.h"

#include <optional>

namespace etude::midi {
namespace {

// One character of UTF-8 (RFC 3629), and how many bytes it takes.
struct Character {
  uint32_t code;
  size_t bytes;
};

std::optional<Character> character(std::span<const uint8_t> text) {
  const uint8_t lead = text[0];
  if (lead < 0x80) return Character{lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t code = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((text[i] & 0xC0) != 0x80) return {};
    code = code << 6 | (text[i] & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kLeast[bytes] || code > 0x10FFFF || surrogate) return {};
  return Character{code, bytes};
}

bool is_utf8(std::span<const uint8_t> text) {
  while (!text.empty()) {
    const auto next = character(text);
    if (!next) return false;
    text = text.subspan(next->bytes);
  }
  return true;
}

bool is_left_out(uint32_t code) {
  return code == 0xFFFE || code == 0xFFFF || (code >= 0x7F && code < 0xA0) ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

std::string latin1_to_utf8(std::span<const uint8_t> bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const uint8_t byte : bytes) append_utf8(out, byte);
  return out;
}

std::string to_utf8(std::span<const uint8_t> bytes) {
  const bool utf8 = is_utf8(bytes);
  std::string out;
  bool space = false;  // to come before the next character
  while (!bytes.empty()) {
    const Character next = utf8 ? *character(bytes) : Character{bytes[0], 1};
    bytes = bytes.subspan(next.bytes);
    if (next.code <= 0x20) {
      space = space || next.code == ' ' || (next.code >= '\t' && next.code <= '\r');
      continue;
    }
    if (is_left_out(next.code)) continue;
    if (space && !out.empty()) out += ' ';
    space = false;
    append_utf8(out, next.code);
  }
  return out;
}

}  // namespace etude::midi
