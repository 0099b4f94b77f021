#pragma once

// What `etude simt` shows of each kernel.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/simt/count.h"

namespace etude::apps {

std::string describe(const emulator::KernelCount& kernel);
nlohmann::ordered_json to_json(const emulator::KernelCount& kernel);

extern const char* const kSimtLegend;  // what the columns mean

}  // namespace etude::apps
