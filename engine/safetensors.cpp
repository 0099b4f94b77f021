#include "engine/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/atomic_file.h"
#include "engine/error.h"

namespace etude {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "safetensors are little endian");

constexpr uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr uint64_t kLargestExtent = uint64_t{1} << 62;
constexpr int kDeepestJson = 8;

size_t dtype_bytes(const std::string& dtype) {
  static const std::map<std::string, size_t> bytes = {
      {"F64", 8},  {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"F16", 2},
      {"BF16", 2}, {"I16", 2}, {"U16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
  const auto found = bytes.find(dtype);
  return found == bytes.end() ? 0 : found->second;
}

// Deep nesting would cost stack long before memory, so the parser stops at the depth of the format.
Json parse_json(std::string_view text) {
  bool too_deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDeepestJson;
    return !too_deep;
  };
  Json json = Json::parse(text, shallow);
  return too_deep ? Json() : json;
}

}  // namespace

void Safetensors::fail(const std::string& place, const std::string& reason) const {
  throw Error(fmt::format("{}: {}: {}", path_.string(), place, reason));
}

Safetensors Safetensors::read(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    throw Error(path.string() + ": cannot be opened: no such file");
  // A pipe could hang the program, a device has no size.
  if (!std::filesystem::is_regular_file(path, error))
    throw Error(path.string() + ": cannot be opened: not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(path.string() + ": cannot be opened");
  std::vector<char> bytes(std::filesystem::file_size(path));
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) throw Error(path.string() + ": could not be read to its end");
  return parse(std::move(bytes), path);
}

Safetensors Safetensors::parse(std::vector<char> bytes, const std::filesystem::path& path) {
  Safetensors file;
  file.path_ = path;
  const uint64_t size = bytes.size();
  uint64_t header_size = 0;
  if (size < sizeof header_size)
    file.fail("byte 0", fmt::format("a safetensors file has at least 8 bytes, this one {}", size));
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if (header_size > kLargestHeader || header_size > size - sizeof header_size)
    file.fail("byte 0", fmt::format("not a safetensors file, or cut short: a header of {} bytes in "
                                    "a file of {}",
                                    header_size, size));
  file.bytes_ = std::move(bytes);
  file.data_begin_ = sizeof header_size + header_size;
  try {
    file.parse_header({file.bytes_.data() + sizeof header_size, header_size});
  } catch (const nlohmann::json::exception& problem) {
    file.fail("header", problem.what());
  }
  file.check_no_holes();
  return file;
}

void Safetensors::parse_header(std::string_view header) {
  const Json json = parse_json(header);
  if (!json.is_object()) fail("header", "it is not a JSON object");
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      metadata_ = value.get<std::map<std::string, std::string>>();
      continue;
    }
    Entry entry;
    entry.dtype = value.at("dtype").get<std::string>();
    size_t expected = dtype_bytes(entry.dtype);
    if (!expected) fail("tensor " + name, "unknown type " + entry.dtype);
    for (const auto& size : value.at("shape")) {
      const uint64_t extent = size.is_number_unsigned() ? size.get<uint64_t>() : kLargestExtent;
      if (extent >= kLargestExtent || (extent && expected > data_size() / extent))
        fail("tensor " + name, "its shape does not fit in the file");
      expected *= extent;
      entry.shape.push_back(static_cast<int64_t>(extent));
    }
    const auto& offsets = value.at("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      fail("tensor " + name, "its data_offsets are not two numbers");
    entry.begin = offsets[0].get<size_t>();
    entry.end = offsets[1].get<size_t>();
    if (entry.begin > entry.end || entry.end > data_size())
      fail("tensor " + name, fmt::format("it ends at byte {} of {}: the file is cut short or lies",
                                         entry.end, data_size()));
    if (entry.end - entry.begin != expected)
      fail("tensor " + name, fmt::format("{} bytes for the shape {} of {}", entry.end - entry.begin,
                                         to_string(entry.shape), entry.dtype));
    entries_.emplace(name, std::move(entry));
  }
}

void Safetensors::check_no_holes() const {
  std::vector<std::pair<size_t, size_t>> ranges;
  for (const auto& [name, entry] : entries_) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  size_t end = 0;
  for (const auto& [begin, next] : ranges) {
    if (begin != end) fail(fmt::format("data byte {}", end), "a hole or an overlap of tensors");
    end = next;
  }
  if (end != data_size()) fail(fmt::format("data byte {}", end), "bytes that belong to no tensor");
}

const std::string& Safetensors::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) fail("header", "no \"" + key + "\" in its metadata");
  return found->second;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

void Safetensors::copy(const std::string& name, const Shape& shape, float* to) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) fail("tensor " + name, "missing");
  const Entry& entry = found->second;
  if (entry.dtype != "F32") fail("tensor " + name, "its type is " + entry.dtype + ", not F32");
  if (entry.shape != shape)
    fail("tensor " + name,
         fmt::format("its shape is {}, not {}", to_string(entry.shape), to_string(shape)));
  std::memcpy(to, data() + entry.begin, entry.end - entry.begin);
  const auto odd =
      std::find_if_not(to, to + count(shape), [](float v) { return std::isfinite(v); });
  if (odd != to + count(shape))
    fail("tensor " + name, fmt::format("number {} is not finite", odd - to));
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, std::string>& metadata,
                       const std::vector<TensorData>& tensors) {
  Json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t end = 0;
  const auto bytes_of = [](const TensorData& t) {
    return static_cast<size_t>(count(t.shape)) * dtype_bytes(t.dtype);
  };
  for (const TensorData& t : tensors) {
    const size_t bytes = bytes_of(t);
    header[t.name] = {{"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begin on 8 bytes, as the format asks
  const uint64_t header_size = text.size();

  AtomicFile file(path);
  file.stream().write(reinterpret_cast<const char*>(&header_size), sizeof header_size);
  file.stream().write(text.data(), static_cast<std::streamsize>(text.size()));
  for (const TensorData& t : tensors)
    file.stream().write(static_cast<const char*>(t.data),
                        static_cast<std::streamsize>(bytes_of(t)));
  file.commit();
}

}  // namespace etude
