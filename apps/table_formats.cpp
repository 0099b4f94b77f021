#include "apps/table_formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "apps/durations.h"

namespace etude::apps {
namespace {

std::string losses(const TableRow& row) {
  std::string text;
  for (const double loss : row.epoch_losses)
    text += fmt::format("{}{:.2f}", text.empty() ? "" : " ", loss);
  return text;
}

std::string four_epochs(const TableRow& row) {
  return fmt::format("{} {}", clock_time(row.minutes_four_epochs),
                     row.projected ? "projected" : "measured");
}

TableColumn number(const char* title, double TableRow::*field, int decimals) {
  return {title, [=](const TableRow& row) { return fmt::format("{:.{}f}", row.*field, decimals); }};
}

bool on_device(const std::vector<TableRow>& rows) {
  return std::ranges::any_of(rows, [](auto& row) { return row.device_memory_mib > 0; });
}

size_t repeats(const std::vector<TableRow>& rows) {
  return rows.empty() ? 1 : rows.front().medians.size();
}

}  // namespace

std::string thousands(int64_t value) {
  std::string text = fmt::format("{}", value);
  for (auto at = std::ssize(text) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::vector<TableColumn> table_columns(const std::vector<TableRow>& rows) {
  std::vector<TableColumn> columns = {
      {"model", [](const TableRow& row) { return row.name; }, false},
      {"parameters", [](const TableRow& row) { return thousands(row.parameters); }},
      {"steps", [](const TableRow& row) { return thousands(row.steps); }},
      {"loss by epoch", losses},
      number("ms/step", &TableRow::median, 1),
      {"quartiles", [](const TableRow& r) { return fmt::format("{:.1f}-{:.1f}", r.q1, r.q3); }},
      {"least-most", [](const TableRow& r) { return fmt::format("{:.1f}-{:.1f}", r.min, r.max); }},
      number("data", &TableRow::data, 3),
      number("model", &TableRow::model, 1),
      number("MiB", &TableRow::peak_memory_mib, 0)};
  if (on_device(rows)) columns.push_back(number("device MiB", &TableRow::device_memory_mib, 0));
  columns.push_back({"4 epochs, min:s", four_epochs});
  columns.push_back({"paper, min:s", [](const TableRow& row) {
                       return row.paper_minutes > 0 ? clock_time(row.paper_minutes) : "";
                     }});
  return columns;
}

std::string text_table(const std::vector<TableRow>& rows) {
  std::vector<std::string> lines(rows.size() + 1);
  for (const TableColumn& column : table_columns(rows)) {
    size_t width = column.title.size();
    for (const TableRow& row : rows) width = std::max(width, column.cell(row).size());
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string cell = i == 0 ? column.title : column.cell(rows[i - 1]);
      lines[i] +=
          column.number ? fmt::format("  {:>{}}", cell, width) : fmt::format("{:<{}}", cell, width);
    }
  }
  std::string text;
  for (std::string& line : lines) text += line.erase(line.find_last_not_of(' ') + 1) + "\n";
  return text;
}

std::string markdown_table(const std::vector<TableRow>& rows) {
  std::string head, rule;
  std::vector<std::string> lines(rows.size());
  for (const TableColumn& column : table_columns(rows)) {
    head += "| " + column.title + " ";
    rule += column.number ? "|---:" : "|---";
    for (size_t i = 0; i < rows.size(); ++i)
      lines[i] += fmt::format("| {0}{1}{0} ", column.number ? "" : "`", column.cell(rows[i]));
  }
  std::string text = head + "|\n" + rule + "|\n";
  for (const std::string& line : lines) text += line + "|\n";
  return text;
}

std::string csv_table(const std::vector<TableRow>& rows) {
  std::string text =
      "model,parameters,classes,steps,timed_steps,repeats,last_loss,ms_median,ms_q1,ms_q3,ms_min,"
      "ms_max,data_ms,model_ms,first_step_ms,peak_memory_mib,device_memory_mib,steps_of_4_epochs,"
      "minutes_4_epochs,projected,paper_minutes\n";
  const auto or_nothing = [](double value) {
    return value > 0 ? fmt::format("{}", value) : std::string();
  };
  for (const TableRow& r : rows)
    fmt::format_to(std::back_inserter(text),
                   "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", r.name,
                   r.parameters, r.classes, r.steps, r.timed_steps, r.medians.size(), r.last_loss,
                   r.median, r.q1, r.q3, r.min, r.max, r.data, r.model, r.first, r.peak_memory_mib,
                   or_nothing(r.device_memory_mib), r.steps_of_four_epochs, r.minutes_four_epochs,
                   r.projected, or_nothing(r.paper_minutes));
  return text;
}

std::string table_legend(const std::vector<TableRow>& rows) {
  const size_t times = repeats(rows);
  std::string text =
      times > 1 ? fmt::format(
                      "ms/step, data (putting the minibatch together) and model: the "
                      "median over {} repeats of each one's median; quartiles, least and "
                      "most: of the timed steps of all repeats. ",
                      times)
                : "ms/step, data (putting the minibatch together) and model: medians of the timed "
                  "steps. ";
  text +=
      "Loss: mean over the epoch's minibatches, nats a sample; the last epoch may be cut "
      "short. MiB: the most that the process held meanwhile. ";
  if (std::ranges::any_of(rows, &TableRow::projected))
    text += "Projected: the mean timed step, times the steps of 4 epochs. ";
  return text +
         "The paper's times are of its own data, vocabulary and (unnamed) hardware: they stand "
         "there for comparison of the models with each other.";
}

}  // namespace etude::apps
