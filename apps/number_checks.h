#pragma once

// Checks of options that are real numbers. CLI11's own let "nan" pass.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
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

}  // namespace etude::apps
