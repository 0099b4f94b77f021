#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/messages.h"
#include "apps/simt_ops.h"
#include "apps/simt_report.h"
#include "kernels/device_functions.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples =
    R"(Runs an operation's CUDA kernels on the CPU, thread by thread, forward and backward, at a small
size, and counts what a GPU's memory would have to do. docs/simt.md explains.

Examples:
  etude simt leaky_relu
  etude simt gru --kernels mma --precision bf16 --size units=128
  etude simt attention --json)";

struct Options {
  std::string op, kernels;
  std::vector<std::string> sizes;
  std::string precision = "fp32";
  bool json = false;
};

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const SimtOp& op : simt_ops()) names.push_back(op.name);
  return names;
}

// An error of usage: one line, status 2.
[[noreturn]] void refuse(const std::string& line) { throw CLI::ValidationError(line); }

const SimtOp& find_op(const std::string& name) {
  for (const SimtOp& op : simt_ops())
    if (op.name == name) return op;
  refuse(fmt::format(
      "{}: the operations are {}",
      name.empty() ? "simt wants an operation" : fmt::format("there is no operation \"{}\"", name),
      fmt::join(op_names(), " ")));
}

std::string text(const SimtSizes& sizes) {
  std::string out;
  for (const auto& [name, value] : sizes) out += fmt::format(" {}={}", name, value);
  return out;
}

// Thread by thread takes time, and some arrays grow by a size's square.
constexpr int64_t kMostProduct = 100'000'000;
int64_t most(const std::string& size) {
  return size == "n" || size == "classes" || size == "count" ? 100'000 : 1024;
}

SimtSizes sizes_of(const SimtOp& op, const std::vector<std::string>& wanted) {
  SimtSizes sizes = op.sizes;
  for (const std::string& word : wanted) {
    const size_t equals = word.find('=');
    const auto size = sizes.find(word.substr(0, equals));
    int64_t value = 0;
    if (size == sizes.end())
      refuse(fmt::format("--size {}: the sizes of {} are{}", word, op.name, text(op.sizes)));
    if (equals == std::string::npos || !CLI::detail::lexical_cast(word.substr(equals + 1), value) ||
        value < 1 || value > most(size->first))
      refuse(fmt::format("--size {}: a number from 1 to {} is wanted", word, most(size->first)));
    size->second = value;
  }
  int64_t product = 1;
  for (const auto& [name, value] : sizes)
    if ((product *= value) > kMostProduct)
      refuse(fmt::format("--size: too much for a CPU that runs thread by thread:{}", text(sizes)));
  if (sizes.count("heads") && sizes["features"] % sizes["heads"])
    refuse(fmt::format("--size heads={}: must divide the {} features", sizes["heads"],
                       sizes["features"]));
  return sizes;
}

int version_of(const SimtOp& op, const std::string& wanted) {
  if (wanted.empty()) return 0;
  const auto found = std::find(op.versions.begin(), op.versions.end(), wanted);
  if (found == op.versions.end())
    refuse(fmt::format(
        "--kernels {}: {} has {}", wanted, op.name,
        op.versions.empty() ? "one version" : fmt::format("{}", fmt::join(op.versions, " "))));
  return static_cast<int>(found - op.versions.begin());
}

kernels::Precision precision_of(const std::string& name) {
  return name == "fp32"   ? kernels::Precision::fp32
         : name == "tf32" ? kernels::Precision::tf32
                          : kernels::Precision::bf16;
}

std::vector<emulator::KernelCount> run(const SimtOp& op, const SimtSizes& sizes, int version,
                                       const std::string& precision) {
  const kernels::Stream stream = kernels::counted::open_stream(precision_of(precision));
  emulator::start_counting();
  op.run(stream, sizes, version);
  auto kernels = emulator::stop_counting();
  kernels::counted::close_stream(stream);
  return kernels;
}

// For --help: what each operation can be asked for.
std::string sizes_and_versions() {
  std::string lines = "Operations, their sizes as they are unless told otherwise, and --kernels:";
  for (const SimtOp& op : simt_ops())
    lines += fmt::format("\n  {}{}{}{}", op.name, text(op.sizes), op.versions.empty() ? "" : "; ",
                         fmt::join(op.versions, " "));
  return lines;
}

void simt(const Options& options) {
  const SimtOp& op = find_op(options.op);
  const SimtSizes sizes = sizes_of(op, options.sizes);
  const int version = version_of(op, options.kernels);
  const auto kernels = run(op, sizes, version, options.precision);
  const std::string kernels_named =
      op.versions.empty() ? ""
                          : fmt::format(", kernels: {}", op.versions[static_cast<size_t>(version)]);
  if (options.json) {
    Json all = Json::array();
    for (const auto& kernel : kernels) all.push_back(to_json(kernel));
    fmt::print(
        "{}\n",
        dump(Json{{"op", op.name},
                  {"sizes", sizes},
                  {"precision", options.precision},
                  {"version", op.versions.empty() ? "" : op.versions[static_cast<size_t>(version)]},
                  {"kernels", all}}));
    return;
  }
  fmt::print("{}{}, {}{}\n\n", op.name, text(sizes), options.precision, kernels_named);
  for (const auto& kernel : kernels) fmt::print("{}\n", describe(kernel));
  fmt::print("{}", kSimtLegend);
}

}  // namespace

void add_simt(CLI::App& program) {
  auto* command =
      program.add_subcommand("simt", "Run a CUDA kernel on the CPU and count its memory accesses");
  auto options = std::make_shared<Options>();
  command->add_option("OP", options->op, fmt::format("{}", fmt::join(op_names(), " ")));
  command->add_option("--size", options->sizes, "NAME=NUMBER: one of the operation's sizes");
  command->add_option("--kernels", options->kernels,
                      "Which version, where an operation has several");
  command->add_option("--precision", options->precision, "Of matrix products: fp32 tf32 bf16")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  command->add_flag("--json", options->json, "The counts as JSON");
  command->footer(fmt::format("{}\n\n{}", kExamples, sizes_and_versions()));
  command->callback([options] { simt(*options); });
}

}  // namespace etude::apps
