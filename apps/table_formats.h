#pragma once

// A table's rows for people (text, Markdown, and through table_columns() the page) and for
// programs (CSV).

#include <functional>
#include <string>
#include <vector>

#include "apps/table_rows.h"

namespace etude::apps {

struct TableColumn {
  std::string title;
  std::function<std::string(const TableRow&)> cell;
  bool number = true;
};

// Those that the rows need.
std::vector<TableColumn> table_columns(const std::vector<TableRow>& rows);

std::string text_table(const std::vector<TableRow>& rows);
std::string markdown_table(const std::vector<TableRow>& rows);
std::string csv_table(const std::vector<TableRow>& rows);

// What the columns mean, in sentences.
std::string table_legend(const std::vector<TableRow>& rows);

// 1234567 as "1,234,567"
std::string thousands(int64_t value);

}  // namespace etude::apps
