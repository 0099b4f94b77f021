#pragma once

// The rows of `etude table`: what the repeats of a model's measurement amount to, and table.json.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/training_run.h"

namespace etude::apps {

// One measurement of one model.
struct Repeat {
  RunFigures figures;
  std::vector<double> step_ms;  // of the timed steps
  double peak_memory_mib;       // the host's
  double device_memory_mib;     // arrays; 0 on the CPU
};

struct TableRow {
  std::string name;
  int64_t parameters, classes, steps, timed_steps;  // of one repeat
  std::vector<double> epoch_losses;                 // the same in every repeat
  double last_loss;
  double median;            // ms a step: over the repeats, of each one's median
  double q1, q3, min, max;  // over the timed steps of all repeats
  double data, model;       // ms: as the median
  double first;             // ms, of the first repeat
  double minutes;           // of all steps of a repeat
  double minutes_four_epochs;
  int64_t steps_of_four_epochs;
  bool projected;
  double paper_minutes;                       // 0 where it has none
  double peak_memory_mib, device_memory_mib;  // the most
  std::vector<double> medians;                // ms a step, by repeat
};

TableRow make_row(const std::vector<Repeat>& repeats);

nlohmann::ordered_json to_json(const TableRow& row);

// The head of table.json, which read_table() asks for.
nlohmann::ordered_json table_head();

struct StoredTable {
  nlohmann::ordered_json json;
  std::vector<TableRow> rows;  // at least one, named as a folder may be
};
// Throws Error naming the file and what is wrong with it.
StoredTable read_table(const std::filesystem::path& path);

}  // namespace etude::apps
