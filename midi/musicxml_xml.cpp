#include "midi/musicxml_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "midi/error.h"
#include "midi/musicxml.h"

namespace etude::midi::musicxml {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::unique_ptr<tinyxml2::XMLDocument> parse_xml(const std::string& text, const std::string& name) {
  if (static_cast<size_t>(std::ranges::count(text, '<')) > kMaxTags)
    throw LimitError(name, fmt::format("line 1: more than {} tags are not read", kMaxTags));
  auto document = std::make_unique<tinyxml2::XMLDocument>();
  document->Parse(text.data(), text.size());
  if (document->Error()) {
    const bool empty = document->ErrorID() == tinyxml2::XML_ERROR_EMPTY_DOCUMENT;
    fail(name, std::max(document->ErrorLineNum(), 1),
         empty ? "the file is empty"
               : fmt::format("not well-formed XML ({})", document->ErrorName()));
  }
  if (!document->RootElement()) fail(name, 1, "no XML element in the file");
  return document;
}

std::optional<Decimal> to_decimal(std::string_view text) {
  text = trimmed(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  Decimal number;
  bool digits = false, point = false;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (!is_digit(c)) return std::nullopt;
    digits = true;
    if (point && number.scale == 1'000'000) continue;  // the seventh place counts for nothing
    number.value = number.value * 10 + (c - '0');
    if (point) number.scale *= 10;
    if (number.value >= 1'000'000'000'000) return std::nullopt;
  }
  if (!digits) return std::nullopt;
  const int64_t common = std::gcd(number.value, number.scale);
  return Decimal{(negative ? -number.value : number.value) / common, number.scale / common};
}

std::optional<int> to_int(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view text_of(const Element* element) {
  const char* text = element ? element->GetText() : nullptr;
  return text ? trimmed(text) : std::string_view();
}

std::string_view child_text(const Element& parent, const char* child) {
  return text_of(parent.FirstChildElement(child));
}

std::string_view attribute(const Element& element, const char* name) {
  const char* value = element.Attribute(name);
  return value ? trimmed(value) : std::string_view();
}

bool is(const Element& element, std::string_view name) { return name == element.Name(); }

bool is_one_of(const Element& element, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, std::string_view(element.Name())) != names.end();
}

void fail(const std::string& name, int line, const std::string& why) {
  throw Error(name, fmt::format("line {}: {}", line, why));
}

void fail(const std::string& name, const Element& at, const std::string& why) {
  fail(name, at.GetLineNum(), why);
}

Decimal required_decimal(const std::string& name, const Element& element) {
  const auto number = to_decimal(text_of(&element));
  if (!number) {
    fail(name, element,
         fmt::format("<{}> is '{}', no number that is read", element.Name(),
                     text_of(&element).substr(0, 40)));
  }
  return *number;
}

}  // namespace etude::midi::musicxml
