#include "midi/maestro.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "midi/error.h"
#include "midi/files.h"

namespace etude::midi {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTableBytes = size_t{64} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view text_of(std::span<const uint8_t> bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

struct Record {
  int line;  // where it begins, from 1
  std::vector<std::string> fields;
};

// One record at a time, so that a fault is told with its line.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  // False at the end. Empty lines are passed over.
  bool next(Record& record) {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) step();
    if (at_ == text_.size()) return false;
    record.line = line_;
    record.fields.clear();
    do {
      record.fields.push_back(text_.substr(at_).starts_with('"') ? quoted() : plain());
    } while (take(','));
    take('\r');
    if (!take('\n') && at_ < text_.size()) fail("text after a closing quote");
    return true;
  }

 private:
  std::string plain() {
    const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    std::string field(text_.substr(at_, end - at_));
    at_ = end;
    return field;
  }

  std::string quoted() {
    const int opened = line_;
    std::string field;
    step();
    while (at_ < text_.size()) {
      if (take('"')) {
        if (!take('"')) return field;
        field += '"';
      } else {
        field += text_[at_];
        step();
      }
    }
    throw Error(name_, fmt::format("line {}: a quote is never closed", opened));
  }

  void step() {
    if (text_[at_++] == '\n') ++line_;
  }

  bool take(char wanted) {
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    step();
    return true;
  }

  [[noreturn]] void fail(const char* why) const {
    throw Error(name_, fmt::format("line {}: {}", line_, why));
  }

  std::string_view text_;
  std::string name_;
  size_t at_ = 0;
  int line_ = 1;
};

std::vector<TableRow> parse_csv(std::string_view text, const std::string& name) {
  CsvReader reader(text, name);
  Record head;
  if (!reader.next(head)) throw Error(name, "line 1: the table is empty");
  const auto column = [&](std::string_view wanted) -> size_t {
    return static_cast<size_t>(std::ranges::find(head.fields, wanted) - head.fields.begin());
  };
  const size_t file = column("midi_filename");
  const size_t composer = column("canonical_composer");
  const size_t title = column("canonical_title");
  const size_t split = column("split");
  if (file == head.fields.size()) throw Error(name, "line 1: no column midi_filename");

  std::vector<TableRow> rows;
  for (Record record; reader.next(record);) {
    const std::string place = fmt::format("row {} (line {})", rows.size() + 1, record.line);
    if (record.fields.size() != head.fields.size()) {
      throw Error(name, fmt::format("{}: {} fields where the first line has {}", place,
                                    record.fields.size(), head.fields.size()));
    }
    const auto field = [&](size_t i) {
      return i < record.fields.size() ? record.fields[i] : std::string();
    };
    rows.push_back({place, field(composer), field(title), field(split), field(file)});
  }
  return rows;
}

// Members "0", "1", "2", ...: in order of number, whatever their order in the file.
std::map<int64_t, std::string> column_of(const Json& table, const char* column,
                                         const std::string& name) {
  std::map<int64_t, std::string> values;
  if (!table.contains(column)) return values;
  for (const auto& [key, value] : table.at(column).items()) {
    int64_t row = 0;
    const auto [end, fault] = std::from_chars(key.data(), key.data() + key.size(), row);
    if (fault != std::errc{} || end != key.data() + key.size() || !value.is_string()) {
      throw Error(
          name, fmt::format("{}, member \"{}\": a row number with a text is wanted", column, key));
    }
    values[row] = value.get<std::string>();
  }
  return values;
}

std::vector<TableRow> rows_of_columns(const Json& table, const std::string& name) {
  const auto composers = column_of(table, "canonical_composer", name);
  const auto titles = column_of(table, "canonical_title", name);
  const auto splits = column_of(table, "split", name);
  const auto at = [](const auto& values, int64_t row) {
    const auto place = values.find(row);
    return place == values.end() ? std::string() : place->second;
  };
  std::vector<TableRow> rows;
  for (const auto& [row, file] : column_of(table, "midi_filename", name)) {
    rows.push_back({fmt::format("row {}", rows.size() + 1), at(composers, row), at(titles, row),
                    at(splits, row), file});
  }
  return rows;
}

std::vector<TableRow> rows_of_array(const Json& table, const std::string& name) {
  std::vector<TableRow> rows;
  for (const Json& item : table) {
    const std::string place = fmt::format("row {}", rows.size() + 1);
    const auto text = [&](const char* member) {
      if (!item.is_object() || !item.contains(member)) return std::string();
      if (!item.at(member).is_string()) throw Error(name, place + ": " + member + " is not a text");
      return item.at(member).get<std::string>();
    };
    rows.push_back({place, text("canonical_composer"), text("canonical_title"), text("split"),
                    text("midi_filename")});
  }
  return rows;
}

std::vector<TableRow> parse_json(std::string_view text, const std::string& name) {
  Json table;
  try {
    table = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw Error::at(name, error.byte, "not JSON");
  } catch (const Json::out_of_range&) {
    throw Error(name, "a number that is too large");
  }
  if (table.is_array()) return rows_of_array(table, name);
  if (!table.is_object() || !table.contains("midi_filename") ||
      !table["midi_filename"].is_object()) {
    throw Error(name, "no column midi_filename");
  }
  return rows_of_columns(table, name);
}

}  // namespace

bool is_table(const std::filesystem::path& path) {
  const std::string extension = lower_extension(path);
  return extension == ".csv" || extension == ".json";
}

bool is_csv_table(const std::filesystem::path& path) {
  if (lower_extension(path) != ".csv" || !std::filesystem::is_regular_file(path)) return false;
  std::ifstream file(path);
  std::string line;
  char c = 0;
  while (line.size() < 4096 && file.get(c) && c != '\n') line += c;
  const auto has = [&](const char* column) { return line.find(column) != std::string::npos; };
  return has("midi_filename") && has("split");
}

std::vector<TableRow> read_table(const std::filesystem::path& path) {
  return parse_table(read_file(path, kMaxTableBytes), path.string());
}

std::vector<TableRow> parse_table(std::span<const uint8_t> bytes, const std::string& name) {
  const bool json = lower_extension(name) == ".json";
  auto rows = json ? parse_json(text_of(bytes), name) : parse_csv(text_of(bytes), name);
  if (rows.empty()) throw Error(name, "the table has no rows");
  for (const TableRow& row : rows) {
    if (row.midi_filename.empty()) throw Error(name, row.place + ": midi_filename is empty");
  }
  return rows;
}

}  // namespace etude::midi
