// Times every kernel: `--help` explains.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <sstream>

#include "bench/kernels/command_line.h"
#include "bench/kernels/context.h"
#include "bench/kernels/report.h"
#include "kernels/parallel.h"

namespace etude::bench {
namespace {

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
  const Runner runner(suite, ceilings);
  std::unique_ptr<benchmark::BenchmarkReporter> display, file;
  if (line.table)
    display = std::make_unique<Table>(!suite.on_cpu());
  else
    display.reset(benchmark::CreateDefaultDisplayReporter());
  if (!line.out.empty() && !line.lists) file = std::make_unique<JsonFile>(line.out, context);
  std::ostringstream problems;
  display->SetErrorStream(&problems);
  const size_t matched = benchmark::RunSpecifiedBenchmarks(display.get(), file.get());
  if (matched == 0 && problems.str().rfind("Failed to match", 0) != 0)  // no regular expression
    return fail(problems.str().substr(0, problems.str().find('\n')));
  if (matched == 0)
    return fail(
        fmt::format("no benchmark is called \"{}\" (--benchmark_list_tests names them; "
                    "--sweep adds other sizes)",
                    benchmark::GetBenchmarkFilter()));
  fmt::print(stderr, "{}", problems.str());
  return runner.any_failed() ? fail("not every benchmark could run: see the table") : 0;
}

}  // namespace
}  // namespace etude::bench

int main(int argc, char** argv) {
  using namespace etude::bench;
  try {
    const CommandLine line = parse(argc, argv);
    initialize(line);
    return run(line);
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
