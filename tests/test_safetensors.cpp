#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "engine/atomic_file.h"
#include "engine/error.h"
#include "engine/safetensors.h"

using namespace etude;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() : path(fs::temp_directory_path() / ("etude-safetensors-" + std::to_string(getpid()))) {
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + data;
}

// The message of the Error that reading gives, or "" where it gives none.
std::string complaint(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    Safetensors::read(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a safetensors file is read as it was written") {
  Folder folder;
  const fs::path path = folder.path / "a.safetensors";
  const std::vector<float> a = {1, -2.5f, 3e-30f, 4, 5, 6}, b = {7};
  write_safetensors(path, {{"key", "a \"value\"\n"}},
                    {{"x", {2, 3}, a.data()}, {"y", {1}, b.data()}});

  const Safetensors file = Safetensors::read(path);
  CHECK(file.metadata("key") == "a \"value\"\n");
  CHECK(file.names() == std::vector<std::string>{"x", "y"});
  std::vector<float> x(6), y(1);
  file.copy("x", {2, 3}, x.data());
  file.copy("y", {1}, y.data());
  CHECK(x == a);
  CHECK(y == b);
  CHECK_THROWS_WITH_AS(file.copy("x", {3, 2}, x.data()),
                       doctest::Contains("tensor x: its shape is [2, 3], not [3, 2]"), Error);
  CHECK_THROWS_WITH_AS(file.copy("z", {1}, y.data()), doctest::Contains("tensor z: missing"),
                       Error);
  CHECK_THROWS_WITH_AS(file.metadata("other"), doctest::Contains("no \"other\""), Error);
}

TEST_CASE("every cut of a file is refused, and names the file") {
  Folder folder;
  const fs::path path = folder.path / "whole.safetensors", cut = folder.path / "cut.safetensors";
  const std::vector<float> a(5, 1.0f);
  write_safetensors(path, {{"format", "x"}}, {{"a", {5}, a.data()}});
  const std::string bytes = read_all(path);
  CHECK(complaint(cut, bytes) == "");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string message = complaint(cut, bytes.substr(0, size));
    CAPTURE(size);
    CHECK(message.find("cut.safetensors: ") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("headers that lie are refused with the reason") {
  Folder folder;
  const fs::path path = folder.path / "lie.safetensors";
  const std::string four(4, '\0');
  const auto said = [&](const std::string& header, const std::string& data) {
    return complaint(path, file_of(header, data));
  };
  const auto contains = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  contains(said("[]", ""), "not a JSON object");
  contains(said("{\"a\":", ""), "header");
  contains(said(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", four), "unknown type");
  contains(said(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", four), "does not fit");
  contains(said(R"({"a":{"dtype":"I8","shape":[3],"data_offsets":[0,4]}})", four), "4 bytes for");
  contains(said(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", four), "ends at byte");
  contains(said(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", four), "shape");
  contains(
      said(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", four),
      "shape");
  contains(said(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", four), "data_offsets");
  contains(said("{}", four), "belong to no tensor");
  contains(said(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                four),
           "overlap");
  std::string huge = file_of("{}", "");
  huge[6] = '\x7f';
  contains(complaint(path, huge), "not a safetensors file");
  contains(said(std::string(100000, '['), ""), "header");
}

TEST_CASE("random damage never crashes the reader") {
  Folder folder;
  const fs::path path = folder.path / "damaged.safetensors";
  const std::vector<float> a(8, 1.0f);
  write_safetensors(path, {{"format", "x"}}, {{"a", {2, 4}, a.data()}, {"b", {0}, a.data()}});
  const std::string bytes = read_all(path);
  uint64_t state = 1;
  const auto next = [&](size_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % n;
  };
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = bytes;
    for (size_t flips = next(4) + 1; flips > 0; --flips)
      damaged[next(damaged.size())] = static_cast<char>(next(256));
    refused += complaint(path, damaged) != "";
  }
  CHECK(refused > 1000);
}

TEST_CASE("numbers that are not finite are refused") {
  Folder folder;
  const fs::path path = folder.path / "nan.safetensors";
  const std::vector<float> a = {1, std::numeric_limits<float>::quiet_NaN()};
  write_safetensors(path, {}, {{"a", {2}, a.data()}});
  std::vector<float> to(2);
  CHECK_THROWS_WITH_AS(Safetensors::read(path).copy("a", {2}, to.data()),
                       doctest::Contains("number 1 is not finite"), Error);
}

TEST_CASE("an atomic file that is not committed leaves nothing behind") {
  Folder folder;
  const fs::path path = folder.path / "x.txt";
  write_file(path, "old");
  {
    AtomicFile file(path);
    file.stream() << "new";
  }
  CHECK(read_all(path) == "old");
  CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 1);
  CHECK_THROWS_AS(AtomicFile(folder.path / "missing" / "x.txt"), Error);
}
