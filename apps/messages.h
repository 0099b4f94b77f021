#pragma once

// What is told to a person beside the results.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace etude::apps {

// Writes to a stream and never throws: hours of training must not end because a terminal went away.
void tell(std::FILE* stream, const std::string& text) noexcept;

// "etude: TEXT" as one line on stderr, whatever characters the text has.
void tell_line(const std::string& text) noexcept;

// "1 bar", "2 bars".
std::string many(auto number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

// Indented JSON; what is no UTF-8 (a file's name may be anything) is replaced, not refused.
std::string dump(const nlohmann::ordered_json& json);

}  // namespace etude::apps
