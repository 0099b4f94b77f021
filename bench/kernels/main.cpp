// Times every kernel: `--help` explains.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "bench/kernels/context.h"
#include "bench/kernels/report.h"
#include "kernels/parallel.h"

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

struct CommandLine {
  Options options;
  int threads = 0;
  std::string out;                   // ours to write
  std::vector<std::string> flags;    // of Google Benchmark
  bool lists = false, table = true;  // names alone; our table, or a format that was asked for
};

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

void parse(CommandLine& line, int argc, char** argv) {
  CLI::App program(
      "Times the kernels of Etude, beside the least that this machine's ceilings allow.",
      "bench_kernels");
  program.footer(kExamples);
  program.allow_extras();
  line.options.precisions = {Precision::fp32, Precision::tf32, Precision::bf16};
  program.add_option("--device", line.options.device, "What runs them")
      ->option_text("cpu|cuda|simt [cpu]")
      ->transform(CLI::CheckedTransformer(kDevices));
  program.add_option("--precision", line.options.precisions, "Of a device's matrix products")
      ->option_text("fp32,tf32,bf16 [all three]")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(kPrecisions));
  program.add_flag("--sweep", line.options.sweep,
                   "Also sizes around the paper's: B, T, V, H and heads, one changed at a time");
  program.add_flag("--small", line.options.small,
                   "Tiny sizes: to see that everything runs; the times mean nothing");
  program.add_option("--threads", line.threads, "Of the CPU [as OpenMP says]")
      ->check(CLI::Range(1, 1024));
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) std::exit(program.exit(error));
    fmt::print(stderr, "bench_kernels: {} (--help explains)\n", error.what());
    std::exit(2);
  }
  sort_flags(line, program.remaining());
}

// What Google Benchmark does not know either is an error.
void initialize(const CommandLine& line) {
  std::vector<std::string> words = {"bench_kernels"};
  words.insert(words.end(), line.flags.begin(), line.flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (count <= 1) return;
  fmt::print(stderr, "bench_kernels: there is no option {} (--help explains)\n", arguments[1]);
  std::exit(2);
}

void add_all(Suite& suite) {
  for (const auto bench :
       {bench_gru, bench_gru_recurrence, bench_attention, bench_vocabulary_loss,
        bench_softmax_cross_entropy, bench_dense, bench_dense_leaky_relu, bench_leaky_relu,
        bench_embedding, bench_nadam, bench_nadam_lazy, bench_dropout, bench_add, bench_column_sums,
        bench_matmul, bench_step_plan})
    bench(suite);
}

Ceilings probe(const Suite& suite) {
  Ceilings ceilings;
  for (const Stream& stream : suite.streams())
    ceilings[stream.precision] = DISPATCH(stream, probe_ceilings);
  return ceilings;
}

int fail(const std::string& reason) {
  fmt::print(stderr, "bench_kernels: {}\n", reason);
  return 1;
}

int run(const CommandLine& line) {
  if (line.threads > 0) kernels::cpu::set_threads(line.threads);
  Suite suite(line.options);
  add_all(suite);
  Ceilings ceilings;
  nlohmann::ordered_json context;
  if (!line.lists) {
    ceilings = probe(suite);
    context = describe(suite, ceilings);
    fmt::print(stderr, "{}", summary(context));
  }
  register_benchmarks(suite, ceilings);
  std::unique_ptr<benchmark::BenchmarkReporter> display, file;
  if (line.table)
    display = std::make_unique<Table>();
  else
    display.reset(benchmark::CreateDefaultDisplayReporter());
  if (!line.out.empty() && !line.lists) file = std::make_unique<JsonFile>(line.out, context);
  std::ostringstream problems;
  display->SetErrorStream(&problems);
  const size_t matched = benchmark::RunSpecifiedBenchmarks(display.get(), file.get());
  if (matched == 0)
    return fail(
        fmt::format("no benchmark is called \"{}\" (--benchmark_list_tests names them; "
                    "--sweep adds other sizes)",
                    benchmark::GetBenchmarkFilter()));
  fmt::print(stderr, "{}", problems.str());
  return any_failed() ? fail("not every benchmark could run: see the table") : 0;
}

}  // namespace
}  // namespace etude::bench

int main(int argc, char** argv) {
  using namespace etude::bench;
  try {
    CommandLine line;
    parse(line, argc, argv);
    initialize(line);
    return run(line);
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
