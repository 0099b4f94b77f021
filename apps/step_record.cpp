#include "apps/step_record.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

#include "engine/error.h"

namespace etude::apps {
namespace {

constexpr const char* kHeader = "step,epoch,loss_per_sample,data_ms,model_ms";

bool parse(const std::string& line, StepReport& r) {
  std::istringstream fields(line);
  char commas[4] = {};
  fields >> r.step >> commas[0] >> r.epoch >> commas[1] >> r.loss_per_sample >> commas[2] >>
      r.data_ms >> commas[3] >> r.model_ms;
  if (!fields || !fields.eof()) return false;
  for (const char comma : commas)
    if (comma != ',') return false;
  return std::isfinite(r.loss_per_sample) && std::isfinite(r.total_ms());
}

}  // namespace

std::string to_csv(const StepRecord& record) {
  std::string csv = fmt::format("{}\n", kHeader);
  for (const StepReport& r : record)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{:.4f},{:.4f}\n", r.step, r.epoch,
                   r.loss_per_sample, r.data_ms, r.model_ms);
  return csv;
}

StepRecord read_step_record(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  if (!in) throw Error(fmt::format("{}: cannot be read", path.string()));
  if (!std::getline(in, line) || line != kHeader)
    throw Error(fmt::format("{}: line 1: not the record of a run", path.string()));
  StepRecord record;
  while (std::getline(in, line)) {
    StepReport r{};
    const auto number = static_cast<int64_t>(record.size()) + 1;
    const int epoch_before = record.empty() ? 0 : record.back().epoch;
    if (!parse(line, r) || r.step != number || r.epoch < epoch_before || r.epoch > epoch_before + 1)
      throw Error(fmt::format("{}: line {}: not a step of a run", path.string(), number + 1));
    record.push_back(r);
  }
  return record;
}

std::vector<double> epoch_losses(const StepRecord& record) {
  std::vector<double> sums(record.empty() ? 0 : static_cast<size_t>(record.back().epoch) + 1);
  std::vector<double> steps(sums.size());
  for (const StepReport& report : record) {
    sums[static_cast<size_t>(report.epoch)] += report.loss_per_sample;
    ++steps[static_cast<size_t>(report.epoch)];
  }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] /= steps[i];
  return sums;
}

}  // namespace etude::apps
