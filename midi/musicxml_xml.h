#pragma once

// Values out of XML elements, with the line in every error.

#include <tinyxml2.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace etude::midi::musicxml {

using Element = tinyxml2::XMLElement;

inline constexpr size_t kMaxAttributes = 100;  // of one element

// Past the comment, CDATA section or processing instruction that begins at `open`: npos where it
// does not end, `open` where none begins.
size_t past_special(std::string_view text, size_t open);

// The line of a byte, counted from 1.
int line_at(std::string_view text, size_t at);

// A document with a root element. Throws Error naming the line, LimitError beyond kMaxNodes
// (musicxml.h) or kMaxAttributes.
std::unique_ptr<tinyxml2::XMLDocument> parse_xml(const std::string& text, const std::string& name);

// A decimal number: value / scale, scale a power of ten up to 10^6, in lowest terms.
struct Decimal {
  int64_t value = 0, scale = 1;
  double real() const { return static_cast<double>(value) / static_cast<double>(scale); }
};

// At most 6 places and |value| below 10^12; nothing but white space beside it.
std::optional<Decimal> to_decimal(std::string_view text);
std::optional<int> to_int(std::string_view text);

// The text in an element without white space at its ends; empty where there is no element.
std::string_view text_of(const Element* element);
std::string_view child_text(const Element& parent, const char* child);
// An attribute, empty where there is none.
std::string_view attribute(const Element& element, const char* name);
bool is(const Element& element, std::string_view name);
bool is_one_of(const Element& element, std::initializer_list<std::string_view> names);

// for (const Element& child : children(parent)), in order.
class Children {
 public:
  explicit Children(const Element& parent) : first_(parent.FirstChildElement()) {}
  struct Iterator {
    const Element* at;
    const Element& operator*() const { return *at; }
    Iterator& operator++() {
      at = at->NextSiblingElement();
      return *this;
    }
    bool operator==(const Iterator&) const = default;
  };
  Iterator begin() const { return {first_}; }
  Iterator end() const { return {nullptr}; }

 private:
  const Element* first_;
};

// Throws Error naming the element's line.
[[noreturn]] void fail(const std::string& name, int line, const std::string& why);
[[noreturn]] void fail(const std::string& name, const Element& at, const std::string& why);

// The number in an element; Error where it is none.
Decimal required_decimal(const std::string& name, const Element& element);

}  // namespace etude::midi::musicxml
