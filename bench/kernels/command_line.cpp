#include "bench/kernels/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace etude::bench {
namespace {

constexpr const char* kExamples = R"(All flags of Google Benchmark are understood besides:
  --benchmark_filter=REGEX       only those; --benchmark_list_tests names them
  --benchmark_repetitions=N      [5; with --small 2]
  --benchmark_min_time=SECONDS   of a repetition [0.1; with --small 0.001]
  --benchmark_out=FILE           JSON for bench/compare.py, whole after every benchmark

Examples:
  bench_kernels                                  the paper's sizes on the CPU, a minute
  bench_kernels --benchmark_filter='^gru/'
  bench_kernels --sweep --benchmark_filter='^(gru|attention)/' --benchmark_out=gru.json
  bench_kernels --device cuda --precision tf32,bf16
  bench_kernels --device simt --small            without a GPU: only that it runs
)";

const std::map<std::string, kernels::Device> kDevices = {{"cpu", kernels::Device::cpu},
                                                         {"cuda", kernels::Device::cuda},
                                                         {"simt", kernels::Device::simt}};
const std::map<std::string, Precision> kPrecisions = {
    {"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}};

bool takes(const std::string& flag, const std::string& prefix, std::string* value = nullptr) {
  if (flag.rfind(prefix, 0) != 0) return false;
  if (value) *value = flag.substr(prefix.size());
  return true;
}

void sort_flags(CommandLine& line, const std::vector<std::string>& given) {
  const auto has = [&](const char* prefix) {
    return std::any_of(given.begin(), given.end(), [&](const auto& f) { return takes(f, prefix); });
  };
  const bool ours = !has("--benchmark_out_format=") || has("--benchmark_out_format=json");
  line.flags =
      line.options.small
          ? std::vector<std::string>{"--benchmark_min_time=0.001", "--benchmark_repetitions=2"}
          : std::vector<std::string>{"--benchmark_min_time=0.1", "--benchmark_repetitions=5"};
  line.lists = has("--benchmark_list_tests") && !has("--benchmark_list_tests=false");
  line.table = !has("--benchmark_format=");
  for (const std::string& flag : given)
    if (!ours || !takes(flag, "--benchmark_out=", &line.out)) line.flags.push_back(flag);
  // Google Benchmark wants a file of its own before it takes a reporter for one.
  if (!line.out.empty()) line.flags.push_back("--benchmark_out=/dev/null");
}

void add_options(CLI::App& program, CommandLine& line, std::string& device,
                 std::vector<std::string>& precisions) {
  program.footer(kExamples);
  program.allow_extras();
  program.add_option("--device", device, "What runs them")
      ->option_text("cpu|cuda|simt [cpu]")
      ->check(CLI::IsMember({"cpu", "cuda", "simt"}));
  program.add_option("--precision", precisions, "Of a device's matrix products")
      ->option_text("fp32,tf32,bf16 [all three]")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  program.add_flag("--sweep", line.options.sweep,
                   "Also sizes around the paper's: B, T, V, H and heads, one changed at a time");
  program.add_flag("--small", line.options.small,
                   "Tiny sizes: to see that everything runs; the times mean nothing");
  program.add_option("--threads", line.threads, "Of the CPU [as OpenMP says]")
      ->check(CLI::Range(1, 1024));
}

}  // namespace

CommandLine parse(int argc, char** argv) {
  CLI::App program(
      "Times the kernels of Etude, beside the least that this machine's ceilings allow.",
      "bench_kernels");
  CommandLine line;
  std::string device = "cpu";
  std::vector<std::string> precisions;
  add_options(program, line, device, precisions);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) std::exit(program.exit(error));
    fmt::print(stderr, "bench_kernels: {} (--help explains)\n", error.what());
    std::exit(2);
  }
  line.options.device = kDevices.at(device);
  if (precisions.empty() && device == "cpu") precisions = {"fp32"};
  if (precisions.empty()) precisions = {"fp32", "tf32", "bf16"};
  for (const std::string& precision : precisions)
    line.options.precisions.push_back(kPrecisions.at(precision));
  sort_flags(line, program.remaining());
  return line;
}

}  // namespace etude::bench
