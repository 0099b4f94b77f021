#pragma once

// The safetensors file format: the length of a JSON header (8 bytes, little endian), the header,
// then the tensors' bytes, row-major and little endian. Files are hostile until parsed: every
// length is checked against the file's size before it is used.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor.h"

namespace etude {

class Safetensors {
 public:
  // Throws Error "FILE: header: reason" or "FILE: tensor NAME: reason".
  static Safetensors read(const std::filesystem::path& path);
  // The same of a file's bytes; `path` is for messages.
  static Safetensors parse(std::vector<char> bytes, const std::filesystem::path& path);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Throws where there is no such entry.
  const std::string& metadata(const std::string& key) const;

  std::vector<std::string> names() const;

  // Copies a tensor of fp32 numbers of exactly this shape; every one must be finite.
  void copy(const std::string& name, const Shape& shape, float* to) const;

 private:
  struct Entry {
    std::string dtype;
    Shape shape;
    size_t begin, end;  // in data()
  };
  void parse_header(std::string_view header);
  void check_no_holes() const;
  [[noreturn]] void fail(const std::string& place, const std::string& reason) const;

  std::filesystem::path path_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Entry> entries_;
  const char* data() const { return bytes_.data() + data_begin_; }
  size_t data_size() const { return bytes_.size() - data_begin_; }

  std::vector<char> bytes_;  // the whole file
  size_t data_begin_ = 0;
};

// One to be written; `dtype` is the format's name of the type of what `data` points to.
struct TensorData {
  std::string name;
  Shape shape;
  const void* data;
  std::string dtype = "F32";
};

// Written atomically, in the order given.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, std::string>& metadata,
                       const std::vector<TensorData>& tensors);

}  // namespace etude
