#include "bench/kernels/suite.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace etude::bench {
namespace {

struct Sweep {
  Axis axis;
  std::vector<int64_t> values;
};
const std::vector<Sweep> kSweeps = {{&Sizes::batch, {1, 8, 32, 192, 384}},
                                    {&Sizes::time, {10, 25, 100, 200}},
                                    {&Sizes::vocabulary, {1000, 5000, 100'000}},
                                    {&Sizes::units, {32, 64, 256, 512}},
                                    {&Sizes::heads, {2, 4}}};
constexpr Sizes kSmall = {.batch = 9, .time = 7, .vocabulary = 100, .units = 16, .heads = 1};

int64_t last_cache(kernels::Device device) {
  if (device == kernels::Device::cuda) return kernels::inspect_cuda().l2;
  int64_t bytes = 0;
#if defined(_SC_LEVEL3_CACHE_SIZE)
  bytes = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), sysconf(_SC_LEVEL2_CACHE_SIZE));
#endif
  return bytes > 0 ? bytes : int64_t{32} << 20;
}

}  // namespace

const char* name(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

const char* name(kernels::Device device) {
  using kernels::Device;
  return device == Device::cpu ? "cpu" : device == Device::cuda ? "cuda" : "simt";
}

std::string Case::name() const {
  std::string text = fmt::format("{}/{}", op, bench::name(stream.device));
  if (stream.device != kernels::Device::cpu)
    text += fmt::format("/{}", bench::name(stream.precision));
  if (!version.empty()) text += "/" + version;
  return text + "/" + sizes;
}

Suite::Suite(const Options& options) : options_(options), cache_(last_cache(options.device)) {
  for (const Precision precision : options_.precisions)
    streams_.push_back(kernels::open_stream(options.device, precision));
}

Suite::~Suite() {
  cases_.clear();
  for (const Stream& stream : streams_) kernels::close_stream(stream);
}

// Issue 3's targets are a GPU's. Two sweeps may meet in one size of a kernel.
void Suite::add(Case c) {
  const auto same = [&](const Case& other) { return other.name() == c.name(); };
  if (std::any_of(cases_.begin(), cases_.end(), same)) return;
  if (on_cpu()) c.target = {};
  cases_.push_back(std::move(c));
}

std::vector<Sizes> Suite::sizes(std::initializer_list<Axis> axes) const {
  const Sizes middle = options_.small ? kSmall : Sizes{};
  std::vector<Sizes> all = {middle};
  if (!options_.sweep) return all;
  for (const Sweep& sweep : kSweeps)
    if (std::find(axes.begin(), axes.end(), sweep.axis) != axes.end())
      for (const int64_t value :
           options_.small ? std::vector{2 * middle.*sweep.axis} : sweep.values) {
        all.push_back(middle);
        all.back().*sweep.axis = value;
      }
  return all;
}

Rotation Suite::rotation(int64_t bytes) const {
  constexpr int64_t kMostSets = 256;
  const int64_t sets = 2 * cache_ / bytes + 1;
  if (options_.small || sets > kMostSets) return {kSets, false};
  return {static_cast<int>(sets), true};
}

}  // namespace etude::bench
