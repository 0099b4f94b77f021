#pragma once

// Text as files have it, for a file that must have it in Unicode.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace etude::midi {

inline std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// A character of Unicode, encoded (RFC 3629).
void append_utf8(std::string& out, uint32_t code);

// ISO 8859-1, whose bytes are the first 256 characters of Unicode.
std::string latin1_to_utf8(std::span<const uint8_t> bytes);

// UTF-8 if that is what the bytes are, else ISO 8859-1 made UTF-8; without the characters that
// XML 1.0 does not have (control characters but tab and line breaks, U+FFFE, U+FFFF) or a terminal
// could obey (U+007F to U+009F, changes of direction), and on one line: runs of white space are one
// space, none at the ends.
std::string to_utf8(std::span<const uint8_t> bytes);

}  // namespace etude::midi
