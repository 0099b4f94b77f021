#pragma once

// Numbers that PyTorch or Keras computed, from tests/data/NAME.safetensors (make_vectors.py beside
// them says what is in them). A reader as small as it can be, so that a fault in the engine's own
// reader of this format cannot hide here.

#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/places.h"
#include "tests/reference/types.h"

namespace etude::tests {

class Vectors {
 public:
  explicit Vectors(const std::string& name) {
    std::ifstream file(source_folder() + "/tests/data/" + name + ".safetensors", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.substr(0, 8).c_str(), 8);
    header_ = nlohmann::json::parse(bytes.substr(8, header_size));
    data_ = bytes.substr(8 + header_size);
  }

  // What the script says of its cases.
  nlohmann::json cases() const {
    const std::string about = header_.at("__metadata__").at("about");
    return nlohmann::json::parse(about).at("cases");
  }
  reference::Vec numbers(const std::string& key) const { return read<double>(key, "F64"); }
  std::vector<int32_t> integers(const std::string& key) const { return read<int32_t>(key, "I32"); }

 private:
  template <typename Number>
  std::vector<Number> read(const std::string& key, const std::string& type) const {
    const nlohmann::json& entry = header_.at(key);
    if (entry.at("dtype") != type) throw std::runtime_error(key + " is not of type " + type);
    const size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    std::vector<Number> out((end - begin) / sizeof(Number));
    std::memcpy(out.data(), data_.substr(begin, end - begin).data(), end - begin);
    return out;
  }

  nlohmann::json header_;
  std::string data_;
};

}  // namespace etude::tests
