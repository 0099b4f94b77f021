#pragma once

// The facts without which a time means nothing, and this process' memory.

#include <nlohmann/json.hpp>
#include <string>

namespace etude::apps {

struct Machine {
  std::string processor;
  int cores, threads;  // threads: those that the kernels use
  double memory_gib;
  std::string system, compiler, flags;
};
Machine this_machine();
nlohmann::ordered_json to_json(const Machine& machine);

// The most memory that the process has held since its start or since forget_peak_memory(), which
// needs Linux and otherwise does nothing.
double peak_memory_mib();
void forget_peak_memory();

}  // namespace etude::apps
