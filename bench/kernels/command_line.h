#pragma once

// bench_kernels' options, and which words are Google Benchmark's.

#include <string>
#include <vector>

#include "bench/kernels/suite.h"

namespace etude::bench {

struct CommandLine {
  Options options;
  int threads = 0;                   // 0: as OpenMP says
  std::string out;                   // the JSON file, ours to write
  std::vector<std::string> flags;    // of Google Benchmark
  bool lists = false, table = true;  // names alone; our table, or a format that was asked for
};

// Ends the program after --help, and with 2 after a word that makes no sense.
CommandLine parse(int argc, char** argv);

}  // namespace etude::bench
