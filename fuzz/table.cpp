#include <string>
#include <string_view>
#include <vector>

#include "fuzz/targets.h"
#include "midi/error.h"
#include "midi/maestro.h"

namespace etude::fuzz {
namespace {

std::string in_quotes(std::string_view field) {
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

std::string as_csv(const std::vector<midi::TableRow>& rows) {
  std::string text = "split,canonical_title,midi_filename,canonical_composer\r\n";
  for (const midi::TableRow& row : rows) {
    text += in_quotes(row.split) + "," + in_quotes(row.title) + "," + in_quotes(row.midi_filename) +
            "," + in_quotes(row.composer) + "\n";
  }
  return text;
}

std::vector<midi::TableRow> parse(std::string_view text) {
  return midi::parse_table({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, "x.csv");
}

void read(Bytes bytes, const char* name) {
  std::vector<midi::TableRow> rows;
  try {
    rows = midi::parse_table(bytes, name);
  } catch (const midi::Error&) {
    return;
  }
  const auto again = parse(as_csv(rows));
  expect(again.size() == rows.size(), "rows were lost");
  for (size_t i = 0; i < rows.size(); ++i) {
    expect(again[i].composer == rows[i].composer && again[i].title == rows[i].title &&
               again[i].split == rows[i].split && again[i].midi_filename == rows[i].midi_filename,
           "a row was changed");
  }
}

}  // namespace

void table(Bytes bytes) {
  read(bytes, "x.csv");
  read(bytes, "x.json");
}

}  // namespace etude::fuzz
