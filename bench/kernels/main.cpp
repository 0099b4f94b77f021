// Times every device operation at the paper's sizes: medians over repetitions of captured graphs,
// beside the floors and what issue 3 asks for. The table comes last on stdout.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "bench/kernels/suite.h"

int main(int argc, char** argv) {
  using namespace etude::bench;
  CLI::App program("Time the device operations of Etude.", "bench_kernels");
  Suite::Options options;
  program.add_option("--device", options.device, "What runs them")
      ->option_text("cuda|simt [cuda]")
      ->transform(CLI::CheckedTransformer(std::map<std::string, etude::kernels::Device>{
          {"cuda", etude::kernels::Device::cuda}, {"simt", etude::kernels::Device::simt}}));
  program.add_flag("--small", options.small,
                   "Tiny sizes: to see that everything runs; the times mean nothing");
  program.add_option("--only", options.only, "Operations whose name has this in it");
  program.add_option("--json", options.json, "Also write the figures here, row by row");
  CLI11_PARSE(program, argc, argv);
  try {
    Suite suite(options);
    for (const auto bench : {bench_ceilings, bench_matmul, bench_gru, bench_attention,
                             bench_vocabulary_loss, bench_embedding, bench_small})
      bench(suite);
    suite.print_table();
    if (suite.rows() == 0) throw etude::kernels::DeviceError("no operation is called so");
    return suite.failures() ? 1 : 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_kernels: {}\n", error.what());
    return 1;
  }
}
