#include "bench/kernels/context.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "apps/machine.h"
#include "bench/commit.h"
#include "kernels/parallel.h"

namespace etude::bench {
namespace {

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&seconds));
  return text;
}

// How many programs wanted a core in the last minute; this one had not begun.
double load() {
  double average = 0;
  return getloadavg(&average, 1) == 1 ? average : 0;
}

// Of the products: Etude's own kernels have none of it.
std::string blas(kernels::Device device) {
  if (device == kernels::Device::cuda) return kernels::inspect_cuda().cublas;
  return "oneDNN " + kernels::onednn_version();
}

nlohmann::ordered_json to_json(const kernels::Ceilings& c) {
  nlohmann::ordered_json json = {{"copy_bytes_per_second", c.copy_bytes_per_second},
                                 {"matmul_flops_per_second", c.matmul_flops_per_second},
                                 {"launch_seconds", c.launch_seconds}};
  if (c.cache_bytes_per_second > 0) json["cache_bytes_per_second"] = c.cache_bytes_per_second;
  return json;
}

}  // namespace

nlohmann::ordered_json describe(const Suite& suite, const Ceilings& ceilings) {
  const kernels::Device device = suite.options().device;
  const nlohmann::ordered_json machine = apps::to_json(apps::this_machine());
  nlohmann::ordered_json context = {{"format", "etude-bench"}, {"version", kFormatVersion},
                                    {"date", now()},           {"commit", ETUDE_COMMIT},
                                    {"device", name(device)},  {"processor", machine["processor"]}};
  if (device == kernels::Device::cuda) context["gpu"] = kernels::inspect_cuda().name;
  context.update({{"threads", kernels::cpu::threads()},
                  {"blas", blas(device)},
                  {"sizes", suite.options().small ? "small" : "paper"},
                  {"load", load()},
                  {"machine", machine}});
  for (const auto& [precision, of] : ceilings) context["ceilings"][name(precision)] = to_json(of);
  return context;
}

std::string summary(const nlohmann::ordered_json& c) {
  const auto text = [&](const char* key) { return c[key].get<std::string>(); };
  std::string lines = fmt::format("{} on {}, {} threads, {}, commit {}\n", text("device"),
                                  c.contains("gpu") ? text("gpu") : text("processor"),
                                  c["threads"].get<int>(), text("blas"), text("commit"));
  for (const auto& [precision, of] : c["ceilings"].items()) {
    lines +=
        fmt::format("ceilings, {}: copy {:.1f} GB/s, products {:.0f} GFLOP/s, launch {:.2f} us",
                    precision, of["copy_bytes_per_second"].get<double>() * 1e-9,
                    of["matmul_flops_per_second"].get<double>() * 1e-9,
                    of["launch_seconds"].get<double>() * 1e6);
    if (of.contains("cache_bytes_per_second"))
      lines += fmt::format(", in the cache {:.0f} GB/s",
                           of["cache_bytes_per_second"].get<double>() * 1e-9);
    lines += "\n";
  }
  const double busy = c["load"].get<double>();
  if (busy > 0.5 * c["machine"]["cores"].get<double>())
    lines +=
        fmt::format("the machine is busy (load {:.1f}): ceilings too low, times too long\n", busy);
  return lines;
}

}  // namespace etude::bench
