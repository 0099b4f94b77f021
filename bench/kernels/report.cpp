#include "bench/kernels/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "engine/atomic_file.h"

namespace etude::bench {
namespace {

using Run = benchmark::BenchmarkReporter::Run;

double counter(const Run& run, const char* name) {
  const auto found = run.counters.find(name);
  return found == run.counters.end() ? 0 : found->second.value;
}

std::string time_text(double us) {
  return us < 1e3 ? fmt::format("{:.2f} us", us) : fmt::format("{:.2f} ms", us * 1e-3);
}

std::string rate_text(double rate) {
  return rate <= 0 ? "" : rate < 10 ? fmt::format("{:.2f}", rate) : fmt::format("{:.0f}", rate);
}

std::string share_text(double share) {
  return share > 0 ? fmt::format("{:.0f} %", 100 * share) : "";
}

// Which of issue 3's levels a time reaches.
std::string verdict(const Run& run, double us) {
  if (counter(run, "must_us") <= 0) return "";
  for (const char* level : {"moon", "aim", "must"})
    if (us <= counter(run, (std::string(level) + "_us").c_str())) return level;
  return "missed";
}

// The middle one by time.
const Run& median(std::vector<const Run*>& runs) {
  std::sort(runs.begin(), runs.end(), [](const Run* a, const Run* b) {
    return a->GetAdjustedRealTime() < b->GetAdjustedRealTime();
  });
  return *runs[(runs.size() - 1) / 2];
}

}  // namespace

bool Table::ReportContext(const Context& context) {
  width_ = context.name_field_width;
  fmt::print("{:<{}} {:>10} {:>8} {:>8} {:>7} {:>7}  {}\n", "benchmark", width_, "median", "spread",
             "GFLOP/s", "GB/s", "share",
             targets_ ? "held by    must / aim / moon, reached" : "held by");
  return true;
}

void Table::ReportRuns(const std::vector<Run>& runs) {
  std::vector<const Run*> good;
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration) continue;
    if (run.error_occurred)
      fmt::print("{:<{}} {}\n", run.run_name.function_name, width_, run.error_message);
    else
      good.push_back(&run);
  }
  if (good.empty()) return;
  const Run& middle = median(good);
  const double us = middle.GetAdjustedRealTime();
  const double apart = good.back()->GetAdjustedRealTime() - good.front()->GetAdjustedRealTime();
  const std::string spread = good.size() > 1 ? fmt::format("{:.0f} %", 100 * apart / us) : "";
  std::string line =
      fmt::format("{:<{}} {:>10} {:>8} {:>8} {:>7} {:>7}  {:<10}", middle.run_name.function_name,
                  width_, time_text(us), spread, rate_text(counter(middle, "GFLOP/s")),
                  rate_text(counter(middle, "GB/s")), share_text(counter(middle, "share")),
                  middle.report_label);
  if (const std::string reached = verdict(middle, us); !reached.empty())
    line += fmt::format(" {:g} / {:g} / {:g} us, {}", counter(middle, "must_us"),
                        counter(middle, "aim_us"), counter(middle, "moon_us"), reached);
  fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  std::fflush(stdout);
}

JsonFile::JsonFile(std::filesystem::path path, nlohmann::ordered_json context)
    : path_(std::move(path)) {
  record_["context"] = std::move(context);
  record_["benchmarks"] = nlohmann::ordered_json::array();
}

// What cannot be written is told before the work, and what matches nothing writes nothing.
bool JsonFile::ReportContext(const Context&) {
  write_file(path_, record_.dump(1) + "\n");
  return true;
}

void JsonFile::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration) continue;
    nlohmann::ordered_json entry = {{"name", run.run_name.function_name},
                                    {"run_type", "iteration"},
                                    {"repetitions", run.repetitions},
                                    {"repetition_index", run.repetition_index}};
    if (run.error_occurred) {
      entry["error_occurred"] = true;
      entry["error_message"] = run.error_message;
    } else {
      entry["iterations"] = run.iterations;
      entry["real_time"] = run.GetAdjustedRealTime();
      entry["cpu_time"] = run.GetAdjustedCPUTime();
      entry["time_unit"] = benchmark::GetTimeUnitString(run.time_unit);
      for (const auto& [name, counter] : run.counters) entry[name] = counter.value;
      entry["label"] = run.report_label;
      if (const auto reached = verdict(run, run.GetAdjustedRealTime()); !reached.empty())
        entry["reached"] = reached;
    }
    record_["benchmarks"].push_back(entry);
  }
  write_file(path_, record_.dump(1) + "\n");
}

}  // namespace etude::bench
