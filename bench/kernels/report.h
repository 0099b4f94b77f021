#pragma once

// What comes out: a table for people, a line a benchmark, and a JSON file for compare.py.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <nlohmann/json.hpp>

namespace etude::bench {

// All repetitions of a benchmark in one line: their median, and how far they are apart.
class Table : public benchmark::BenchmarkReporter {
 public:
  explicit Table(bool targets) : targets_(targets) {}  // whether any benchmark has one
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

 private:
  bool targets_;
  size_t width_ = 0;
};

// As Google Benchmark's own, with our context; the file is whole after every benchmark.
class JsonFile : public benchmark::BenchmarkReporter {
 public:
  JsonFile(std::filesystem::path path, nlohmann::ordered_json context);
  bool ReportContext(const Context&) override;
  void ReportRuns(const std::vector<Run>& runs) override;

 private:
  std::filesystem::path path_;
  nlohmann::ordered_json record_;
};

}  // namespace etude::bench
