#pragma once

// The table that comes with MAESTRO v3 (magenta.tensorflow.org/datasets/maestro), as CSV (RFC 4180:
// quoted fields, doubled quotes, line breaks inside quotes; UTF-8, a byte order mark allowed) or as
// JSON (v3: columns of {"row": value}; v1 and v2: an array of rows). Only midi_filename must be
// there.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace etude::midi {

struct TableRow {
  std::string place;  // "row 12 (line 13)" or "row 12", counted from 1
  std::string composer, title, split, midi_filename;
};

// A folder's or a file's name says which: .csv or .json.
bool is_table(const std::filesystem::path& path);
// A CSV file whose first line has the columns midi_filename and split.
bool is_csv_table(const std::filesystem::path& path);

// In the table's order. Throws Error naming the table, the place and the fault; the MIDI files
// themselves are not looked for.
std::vector<TableRow> read_table(const std::filesystem::path& path);
// The same of a table's bytes; `name` says whether they are CSV or JSON, and is for messages.
std::vector<TableRow> parse_table(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace etude::midi
