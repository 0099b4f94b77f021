#include "apps/machine.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <fstream>
#include <thread>

#include "kernels/parallel.h"

namespace etude::apps {
namespace {

// The value of the first line "KEY : value" of a file like /proc/cpuinfo.
std::string value_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.rfind(key, 0) != 0 || colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

double kilobytes_of(const char* path, const std::string& key) {
  return std::strtod(value_of(path, key).c_str(), nullptr);
}

}  // namespace

Machine this_machine() {
  utsname system{};
  uname(&system);
  std::string processor = value_of("/proc/cpuinfo", "model name");
  if (processor.empty()) processor = system.machine;
  return {processor,
          static_cast<int>(std::thread::hardware_concurrency()),
          kernels::cpu::threads(),
          kilobytes_of("/proc/meminfo", "MemTotal") / (1 << 20),
          fmt::format("{} {}", system.sysname, system.release),
          ETUDE_COMPILER,
          ETUDE_FLAGS};
}

nlohmann::ordered_json to_json(const Machine& m) {
  return {{"processor", m.processor}, {"cores", m.cores},
          {"threads", m.threads},     {"memory_gib", m.memory_gib},
          {"system", m.system},       {"compiler", m.compiler},
          {"flags", m.flags}};
}

double peak_memory_mib() {
  if (const double peak = kilobytes_of("/proc/self/status", "VmHWM"); peak > 0) return peak / 1024;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void forget_peak_memory() {
  malloc_trim(0);  // what a model has given back to malloc is not the next one's
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace etude::apps
