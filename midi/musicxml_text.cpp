#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "midi/error.h"
#include "midi/musicxml_model.h"
#include "midi/musicxml_xml.h"
#include "midi/smf.h"
#include "midi/text.h"

namespace etude::midi::musicxml {
namespace {

using Bytes = std::span<const uint8_t>;

// `high`: which byte of a pair is the upper one.
std::string from_utf16(Bytes bytes, size_t high, const std::string& name) {
  std::string out;
  out.reserve(bytes.size());
  const auto refuse = [&](const char* why) { fail(name, line_at(out, out.size()), why); };
  const auto pair = [&](size_t at) {
    return static_cast<uint32_t>(bytes[at + high] << 8 | bytes[at + 1 - high]);
  };
  for (size_t at = 2; at + 1 < bytes.size(); at += 2) {
    uint32_t code = pair(at);
    if (code >= 0xD800 && code < 0xE000) {
      const uint32_t low = at + 3 < bytes.size() ? pair(at + 2) : 0;
      if (code >= 0xDC00 || low < 0xDC00 || low >= 0xE000) refuse("half a UTF-16 surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    }
    append_utf8(out, code);
  }
  if (bytes.size() % 2 != 0) refuse("UTF-16 with half a character at its end");
  return out;
}

// What the XML declaration says, in small letters; empty if nothing.
std::string declared_encoding(std::string_view text) {
  if (!text.starts_with("<?xml")) return {};
  const auto declaration = text.substr(0, text.find("?>"));
  const size_t word = declaration.find("encoding");
  if (word == std::string_view::npos) return {};
  const size_t open = declaration.find_first_of("\"'", word);
  if (open == std::string_view::npos) return {};
  const size_t close = declaration.find(declaration[open], open + 1);
  if (close == std::string_view::npos) return {};
  std::string encoding(declaration.substr(open + 1, close - open - 1));
  for (char& c : encoding) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return encoding;
}

// The end of the document type declaration that begins at `at`: past its internal subset and what
// is quoted there; npos if it does not end.
size_t doctype_end(std::string_view text, size_t at) {
  int brackets = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = text.find(c, i + 1);
      if (i == std::string_view::npos) return i;
    } else if (const size_t end = past_special(text, i); end != i) {
      if (end == std::string_view::npos) return end;
      i = end - 1;
    } else if (c == '[') {
      ++brackets;
    } else if (c == ']') {
      --brackets;
    } else if (c == '>' && brackets <= 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// A document type says nothing that this reader needs, and a parser could stumble over what stands
// in it: made blank. It can only stand before the first element.
void blank_doctype(std::string& text, const std::string& name) {
  size_t at = text.find('<');
  while (at != std::string::npos && !std::string_view(text).substr(at).starts_with("<!DOCTYPE")) {
    const size_t end = past_special(text, at);
    if (end == at || end == std::string::npos) return;
    at = text.find('<', end);
  }
  if (at == std::string::npos) return;
  const size_t end = doctype_end(text, at);
  if (end == std::string::npos) {
    throw Error(name, fmt::format("line {}: the DOCTYPE does not end", line_at(text, at)));
  }
  for (size_t i = at; i < end; ++i) {
    if (text[i] != '\n' && text[i] != '\r') text[i] = ' ';
  }
}

bool declares_xml(std::string_view instruction) {
  return instruction.starts_with("<?xml") && instruction.size() > 5 &&
         std::string_view(" \t\r\n").find(instruction[5]) != std::string_view::npos;
}

// A text that comments, processing instructions and CDATA sections divide becomes one, as XML has
// it: the first two go, the content of the third stays where no character in it has a meaning. (The
// parser would take instructions for declarations.) Lines are kept.
std::string in_one_piece(const std::string& text, const std::string& name) {
  std::string out;
  out.reserve(text.size());
  size_t copied = 0;
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
    const size_t end = past_special(text, at);
    const auto special = std::string_view(text).substr(at, end - at);
    if (end == at || declares_xml(special)) {
      at = std::max(at + 1, std::min(end, text.size()));
      continue;
    }
    if (end == std::string::npos) {
      const char* what = special.starts_with("<?")     ? "processing instruction"
                         : special.starts_with("<!--") ? "comment"
                                                       : "CDATA section";
      throw Error(name, fmt::format("line {}: not well-formed XML: a {} that does not end",
                                    line_at(text, at), what));
    }
    out.append(text, copied, at - copied);
    copied = at = end;
    if (!special.starts_with("<![")) {
      std::ranges::copy_if(special, std::back_inserter(out),
                           [](char c) { return c == '\n' || c == '\r'; });
      continue;
    }
    const auto content = special.substr(9, special.size() - 12);
    out.append(content.find_first_of("<&") == std::string_view::npos ? content : special);
  }
  return out.append(text, copied);
}

}  // namespace

void Notices::add(int line, const std::string& what) {
  if (reading_ == Reading::strict) fail(name_, line, what);
  if (list_.size() < kMaxFindings)
    list_.push_back({Deviation::notation, static_cast<size_t>(line), what});
}

std::string utf8_text(Bytes bytes, const std::string& name, Notices& found) {
  const auto starts_with = [&](std::initializer_list<uint8_t> mark) {
    return bytes.size() >= mark.size() && std::equal(mark.begin(), mark.end(), bytes.begin());
  };
  std::string text;
  if (starts_with({0xFE, 0xFF})) {
    text = from_utf16(bytes, 0, name);
  } else if (starts_with({0xFF, 0xFE})) {
    text = from_utf16(bytes, 1, name);
  } else if (starts_with({0, '<'}) || starts_with({'<', 0})) {
    fail(name, 1, "UTF-16 without a byte order mark is not read");
  } else {
    if (starts_with({0xEF, 0xBB, 0xBF})) bytes = bytes.subspan(3);
    text.assign(bytes.begin(), bytes.end());
    const std::string encoding = declared_encoding(text);
    const bool windows = encoding == "windows-1252";  // its letters are those of ISO 8859-1
    if (encoding == "iso-8859-1" || encoding == "latin1" || windows) {
      text = latin1_to_utf8(bytes);
      if (windows) found.add(1, "encoding 'windows-1252' read as ISO 8859-1");
    } else if (!encoding.empty() && encoding != "utf-8" && encoding != "us-ascii") {
      found.add(1, fmt::format("encoding '{}' read as UTF-8", encoding.substr(0, 40)));
    }
  }
  if (const size_t nul = text.find('\0'); nul != std::string::npos) {
    throw Error(name, fmt::format("line {}: a zero byte, which no XML has", line_at(text, nul)));
  }
  blank_doctype(text, name);
  return in_one_piece(text, name);
}

}  // namespace etude::midi::musicxml
