#pragma once

// The facts without which a figure means nothing: what was measured, where, and its ceilings.

#include <nlohmann/json.hpp>

#include "bench/kernels/runner.h"

namespace etude::bench {

constexpr int kFormatVersion = 1;  // of the JSON file; compare.py reads this one alone

nlohmann::ordered_json describe(const Suite& suite, const Ceilings& ceilings);
std::string summary(const nlohmann::ordered_json& context);  // one line a fact, for people

}  // namespace etude::bench
