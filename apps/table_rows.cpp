#include "apps/table_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "apps/statistics.h"
#include "engine/error.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "etude-table";
constexpr int kVersion = 1;

double paper_minutes(const std::string& model) {
  static const std::map<std::string, double> minutes = {{"rnn", 79 + 39.0 / 60},
                                                        {"attention", 19 + 15.0 / 60},
                                                        {"single", 26 + 42.0 / 60},
                                                        {"double", 18 + 33.0 / 60},
                                                        {"triple", 20 + 28.0 / 60}};
  const auto found = minutes.find(model);
  return found == minutes.end() ? 0 : found->second;
}

template <typename Part>
std::vector<double> collect(const std::vector<Repeat>& repeats, Part part) {
  std::vector<double> values;
  for (const Repeat& repeat : repeats) values.push_back(part(repeat));
  return values;
}

Json number_or_null(double value) { return value > 0 ? Json(value) : Json(); }
double number_or_zero(const Json& value) { return value.is_null() ? 0 : value.get<double>(); }

TableRow row_from_json(const Json& json) {
  const Json& ms = json.at("ms_per_step");
  TableRow row{};
  row.name = json.at("name");
  row.parameters = json.at("parameters");
  row.classes = json.at("classes");
  row.steps = json.at("steps");
  row.timed_steps = json.at("timed_steps");
  row.epoch_losses = json.at("loss_per_epoch").get<std::vector<double>>();
  row.last_loss = json.at("last_loss");
  row.median = ms.at("median");
  row.q1 = ms.at("q1");
  row.q3 = ms.at("q3");
  row.min = ms.at("min");
  row.max = ms.at("max");
  row.medians = json.at("ms_per_step_by_repeat").get<std::vector<double>>();
  row.data = json.at("data_ms");
  row.model = json.at("model_ms");
  row.first = json.at("first_step_ms");
  row.minutes = json.at("minutes");
  row.minutes_four_epochs = json.at("minutes_4_epochs");
  row.steps_of_four_epochs = json.at("steps_of_4_epochs");
  row.projected = json.at("projected");
  row.paper_minutes = number_or_zero(json.at("paper_minutes"));
  row.peak_memory_mib = json.at("peak_memory_mib");
  row.device_memory_mib = number_or_zero(json.at("device_memory_mib"));
  return row;
}

void require_format(const std::filesystem::path& path, const Json& json) {
  if (!json.is_object() || json.value("format", "") != kFormat)
    throw Error(
        fmt::format("{}: not a table as this version of etude writes it (no \"format\": "
                    "\"{}\"); `etude table --out` makes one",
                    path.string(), kFormat));
  if (json.at("version") != kVersion)
    throw Error(
        fmt::format("{}: a table of version {}, this program reads version {}; `etude "
                    "table --out` makes one",
                    path.string(), json.at("version").dump(), kVersion));
}

void require_folder_name(const std::filesystem::path& path, const std::string& row) {
  const std::filesystem::path name = row;
  if (name.empty() || name != name.filename())
    throw Error(fmt::format("{}: \"{}\" is not a model's name", path.string(), row));
}

}  // namespace

TableRow make_row(const std::vector<Repeat>& repeats) {
  const RunFigures& f = repeats.front().figures;
  std::vector<double> steps;
  for (const Repeat& r : repeats) steps.insert(steps.end(), r.step_ms.begin(), r.step_ms.end());
  const auto middle = [&repeats](auto part) { return median(collect(repeats, part)); };
  TableRow row{};
  row.name = f.model;
  row.parameters = f.parameters;
  row.classes = f.classes;
  row.steps = f.steps;
  row.timed_steps = std::ssize(repeats.front().step_ms);
  row.epoch_losses = f.epoch_losses;
  row.last_loss = f.last_loss;
  row.medians = collect(repeats, [](const Repeat& r) { return r.figures.times.median; });
  row.median = median(row.medians);
  row.q1 = quantile(steps, 0.25);
  row.q3 = quantile(steps, 0.75);
  row.min = quantile(steps, 0);
  row.max = quantile(steps, 1);
  row.data = middle([](const Repeat& r) { return r.figures.times.data; });
  row.model = middle([](const Repeat& r) { return r.figures.times.model; });
  row.first = f.times.first;
  row.minutes = middle([](const Repeat& r) { return r.figures.minutes; });
  row.minutes_four_epochs = middle([](const Repeat& r) { return r.figures.minutes_four_epochs; });
  row.steps_of_four_epochs = f.steps_of_four_epochs;
  row.projected = f.projected;
  row.paper_minutes = paper_minutes(f.model);
  for (const Repeat& r : repeats) {
    row.peak_memory_mib = std::max(row.peak_memory_mib, r.peak_memory_mib);
    row.device_memory_mib = std::max(row.device_memory_mib, r.device_memory_mib);
  }
  return row;
}

Json to_json(const TableRow& row) {
  return {{"name", row.name},
          {"parameters", row.parameters},
          {"classes", row.classes},
          {"steps", row.steps},
          {"timed_steps", row.timed_steps},
          {"loss_per_epoch", row.epoch_losses},
          {"last_loss", row.last_loss},
          {"ms_per_step",
           {{"median", row.median},
            {"q1", row.q1},
            {"q3", row.q3},
            {"min", row.min},
            {"max", row.max}}},
          {"ms_per_step_by_repeat", row.medians},
          {"first_step_ms", row.first},
          {"data_ms", row.data},
          {"model_ms", row.model},
          {"minutes", row.minutes},
          {"steps_of_4_epochs", row.steps_of_four_epochs},
          {"minutes_4_epochs", row.minutes_four_epochs},
          {"projected", row.projected},
          {"paper_minutes", number_or_null(row.paper_minutes)},
          {"peak_memory_mib", row.peak_memory_mib},
          {"device_memory_mib", number_or_null(row.device_memory_mib)}};
}

Json table_head() { return {{"format", kFormat}, {"version", kVersion}}; }

StoredTable read_table(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw Error(fmt::format("{}: cannot be read", path.string()));
  StoredTable table;
  try {
    table.json = Json::parse(file);
    require_format(path, table.json);
    for (const Json& row : table.json.at("models")) table.rows.push_back(row_from_json(row));
  } catch (const Json::exception& fault) {
    throw Error(fmt::format("{}: {}", path.string(), fault.what()));
  }
  if (table.rows.empty()) throw Error(fmt::format("{}: no model in it", path.string()));
  for (const TableRow& row : table.rows) require_folder_name(path, row.name);
  return table;
}

}  // namespace etude::apps
