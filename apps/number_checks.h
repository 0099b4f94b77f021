#pragma once

// Checks of options that are real numbers, of which CLI11's own let "nan" pass, and of seeds, where
// it takes -1 for the largest of all.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

namespace etude::apps {

inline CLI::Validator number_check(const std::string& wanted, auto holds) {
  const auto check = [wanted, holds](std::string& text) {
    double value = 0;
    const bool good = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
    return good && holds(value) ? std::string()
                                : fmt::format("{} is not a number {}", text, wanted);
  };
  return CLI::Validator(check, wanted);
}

inline CLI::Validator within(double least, double most) {
  return number_check(fmt::format("from {} to {}", least, most),
                      [=](double value) { return value >= least && value <= most; });
}

inline CLI::Validator above_zero() {
  return number_check("above 0", [](double value) { return value > 0; });
}

inline CLI::Validator seed_number() {
  const auto check = [](std::string& text) {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, fault] = std::from_chars(text.data(), end, value);
    return fault == std::errc{} && stop == end
               ? std::string()
               : fmt::format("{} is not a whole number from 0 to {}", text, UINT64_MAX);
  };
  return CLI::Validator(check, "");
}

}  // namespace etude::apps
