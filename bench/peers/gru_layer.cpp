// A bidirectional GRU layer, forward and backward, by Etude or by oneDNN's lbr_gru, for
// gru_layer.py: weights, input and output gradient come from a file, a line of JSON on standard
// input asks for steps or for the results.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/peers/gru_layer.h"
#include "engine/error.h"
#include "kernels/parallel.h"

namespace etude::bench {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

Json run_steps(GruLayer& layer, int count) {
  Json forward = Json::array(), both = Json::array();
  for (int i = 0; i < count; ++i) {
    const double first = milliseconds([&] { layer.forward(); });
    forward.push_back(first);
    both.push_back(first + milliseconds([&] { layer.backward(); }));
  }
  return {{"forward_ms", forward}, {"ms", both}};
}

void serve(GruLayer& layer) {
  fmt::print("{}\n", Json{{"versions", {{layer.name(), layer.version()}}}}.dump());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const Json request = Json::parse(line);
    Json answer;
    if (request.contains("write")) {
      layer.write(request["write"].get<std::string>());
      answer["written"] = request["write"];
    } else {
      answer = run_steps(layer, request.at("steps").get<int>());
    }
    fmt::print("{}\n", answer.dump());
    std::fflush(stdout);
  }
}

void run(const std::string& who, const GruLayerSizes& sizes, const std::string& data, int threads) {
  kernels::cpu::set_threads(threads);
  const GruLayerData read(sizes, data);
  const auto layer = who == "etude" ? etude_gru_layer(read) : onednn_gru_layer(read);
  serve(*layer);
}

}  // namespace
}  // namespace etude::bench

int main(int count, char** words) {
  CLI::App program("A bidirectional GRU layer, for bench/peers/gru_layer.py");
  std::string who, data;
  etude::bench::GruLayerSizes sizes;
  int threads = 2;
  program.add_option("who", who)->required()->check(CLI::IsMember({"etude", "onednn"}));
  program.add_option("--data", data, "Weights, x and dy (.safetensors)")->required();
  program.add_option("--batch", sizes.batch)->required();
  program.add_option("--time", sizes.time)->required();
  program.add_option("--in", sizes.in)->required();
  program.add_option("--units", sizes.units)->required();
  program.add_option("--threads", threads)->capture_default_str();
  CLI11_PARSE(program, count, words);
  try {
    etude::bench::run(who, sizes, data, threads);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}
