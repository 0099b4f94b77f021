#include "midi/musicxml_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

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

// What one pass over the markup counts before a parser makes nodes of it: the parser's memory goes
// with their number, its time with the square of the attributes of one tag.
class MarkupCounter {
 public:
  MarkupCounter(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  void count() {
    size_t at = 0;
    while (at < text_.size()) {
      const size_t open = std::min(text_.find('<', at), text_.size());
      if (text_.substr(at, open - at).find_first_not_of(kSpace) != std::string_view::npos) node(at);
      if (open == text_.size()) return;
      at = past_tag(open);
    }
  }

 private:
  // Past the tag, comment, section or instruction; the text's end where it does not end.
  size_t past_tag(size_t open) {
    const std::string_view rest = text_.substr(open);
    if (rest.starts_with("</")) return past(">", open);
    node(open);
    if (const size_t end = past_special(text_, open); end != open)
      return std::min(end, text_.size());
    if (rest.starts_with("<!")) return past(">", open);
    size_t attributes = 0;
    for (size_t at = open; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '>') return at + 1;
      if (c == '"' || c == '\'') {
        at = text_.find(c, at + 1);
        if (at == std::string_view::npos) break;
      } else if (c == '=') {
        if (++attributes > kMaxAttributes)
          refuse(open, fmt::format("more than {} attributes of an element", kMaxAttributes));
        node(at);
      }
    }
    return text_.size();
  }

  size_t past(std::string_view mark, size_t from) const {
    const size_t at = text_.find(mark, from);
    return at == std::string_view::npos ? text_.size() : at + mark.size();
  }

  void node(size_t at) {
    if (++nodes_ > kMaxNodes)
      refuse(at, fmt::format("more than {} elements, attributes and texts", kMaxNodes));
  }

  [[noreturn]] void refuse(size_t at, const std::string& what) const {
    throw LimitError(name_, fmt::format("line {}: {} are not read", line_at(text_, at), what));
  }

  std::string_view text_;
  const std::string& name_;
  size_t nodes_ = 0;
};

// (Comments and CDATA sections are whole: musicxml_text.cpp.)
std::string reason_of(tinyxml2::XMLError error) {
  const std::string malformed = "not well-formed XML";
  switch (error) {
    case tinyxml2::XML_ERROR_EMPTY_DOCUMENT:
      return "the file is empty";
    case tinyxml2::XML_ERROR_MISMATCHED_ELEMENT:
      return malformed + ": an element without its end tag, or the end tag of another";
    case tinyxml2::XML_ERROR_PARSING_ELEMENT:
      return malformed + ": a tag that does not end, or without a name";
    case tinyxml2::XML_ERROR_PARSING_ATTRIBUTE:
      return malformed + ": an attribute without a quoted value, or there twice";
    case tinyxml2::XML_ERROR_PARSING_TEXT:
      return malformed + ": text outside of all elements, or that does not end";
    case tinyxml2::XML_ERROR_PARSING_DECLARATION:
      return malformed + ": an XML declaration that does not end, or out of place";
    case tinyxml2::XML_ERROR_PARSING_UNKNOWN:
      return malformed + ": markup that does not end";
    case tinyxml2::XML_ELEMENT_DEPTH_EXCEEDED:
      return "elements nested too deep";
    default:
      return malformed;
  }
}

}  // namespace

std::unique_ptr<tinyxml2::XMLDocument> parse_xml(const std::string& text, const std::string& name) {
  MarkupCounter(text, name).count();
  auto document = std::make_unique<tinyxml2::XMLDocument>();
  document->Parse(text.data(), text.size());
  if (document->Error()) {
    fail(name, std::max(document->ErrorLineNum(), 1), reason_of(document->ErrorID()));
  }
  if (!document->RootElement()) fail(name, 1, "no XML element in the file");
  return document;
}

size_t past_special(std::string_view text, size_t open) {
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
      {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
  for (const auto& [begin, end] : kMarks) {
    if (!text.substr(open).starts_with(begin)) continue;
    const size_t at = text.find(end, open + begin.size());
    return at == std::string_view::npos ? at : at + end.size();
  }
  return open;
}

int line_at(std::string_view text, size_t at) {
  const auto upto = text.substr(0, at);
  return 1 + static_cast<int>(std::ranges::count(upto, '\n'));
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
