#include "bench/kernels/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "bench/kernels/timer.h"

namespace etude::bench {
namespace {

constexpr int kRepetitions = 12;
constexpr double kRepetition = 5000;  // microseconds, about
constexpr int kLeastReplays = 10;     // of a graph in each repetition
constexpr int kRounds = 2;            // over the input sets in one graph

class HostTimer : public Timer {
 public:
  explicit HostTimer(const Stream& stream) : stream_(stream) {}
  void start() override {
    kernels::synchronize(stream_);
    start_ = Clock::now();
  }
  double stop() override {
    kernels::synchronize(stream_);
    return std::chrono::duration<double, std::micro>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Stream stream_;
  Clock::time_point start_;
};

// SplitMix64 (Steele et al. 2014).
uint64_t next(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
double uniform(uint64_t& state) { return static_cast<double>(next(state) >> 11) * 0x1p-53; }

std::string verdict(const Target& t, double median) {
  if (t.must == 0) return "";
  return median <= t.moon ? "moon" : median <= t.aim ? "aim" : median <= t.must ? "must" : "missed";
}

std::string number(double value) {
  if (value == 0) return "";
  return value < 10 ? fmt::format("{:.2f}", value) : fmt::format("{:.1f}", value);
}

}  // namespace

const char* name(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

std::unique_ptr<Timer> make_timer(const Stream& stream) {
#if ETUDE_CUDA
  if (stream.device == kernels::Device::cuda) return make_event_timer(stream);
#endif
  return std::make_unique<HostTimer>(stream);
}

Array::Array(const Stream& stream, const void* from, int64_t bytes)
    : stream_(stream), memory_(kernels::allocate(stream, std::max<int64_t>(bytes, 16))) {
  kernels::copy_to_device(stream, memory_, from, bytes);
  kernels::synchronize(stream);
}
Array::~Array() { kernels::release(stream_, memory_); }

Suite::Suite(Options options) : options_(std::move(options)) {
  for (const Precision precision : kPrecisions)
    streams_.push_back(kernels::open_stream(options_.device, precision));
}
Suite::~Suite() {
  for (const Stream& stream : streams_) kernels::close_stream(stream);
}

const Stream& Suite::stream(Precision precision) const {
  return streams_[static_cast<size_t>(precision)];
}

Shared Suite::random(int64_t count, float scale) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) x = scale * static_cast<float>(2 * uniform(seed_) - 1);
  return copy_of(values.data(), count * static_cast<int64_t>(sizeof(float)));
}

Shared Suite::random_ids(int64_t count, int64_t classes) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids)
    id = static_cast<int32_t>(static_cast<double>(classes) * std::pow(uniform(seed_), 3));
  return copy_of(ids.data(), count * static_cast<int64_t>(sizeof(int32_t)));
}

Shared Suite::copy_of(const void* from, int64_t bytes) {
  return std::make_shared<Array>(stream(), from, bytes);
}

bool Suite::wanted(const std::string& op) const {
  return options_.only.empty() || op.find(options_.only) != std::string::npos;
}

// A graph has each input set kRounds times; the launch of the graph itself, spread over its calls,
// is in the figure as it is in a training step's.
Figures Suite::time(const Case& c) {
  const Stream& s = stream(c.precision);
  for (int set = 0; set < kSets; ++set) c.call(s, set);  // libraries load, attributes are set
  kernels::synchronize(s);
  kernels::Graph graph;
  if (c.captured) {
    kernels::begin_capture(s);
    try {
      for (int i = 0; i < kRounds * kSets; ++i) c.call(s, i % kSets);
    } catch (...) {
      kernels::abandon_capture(s);
      throw;
    }
    graph = kernels::end_capture(s);
  }
  const auto once = [&] {
    if (c.captured) return kernels::replay(s, graph);
    for (int i = 0; i < kRounds * kSets; ++i) c.call(s, i % kSets);
  };
  const auto timer = make_timer(s);
  const int warm = options_.small || c.long_call ? 1 : kLeastReplays;
  timer->start();
  for (int i = 0; i < warm; ++i) once();
  const double estimate = timer->stop() / warm;
  const int replays = std::max(warm, options_.small ? 1 : static_cast<int>(kRepetition / estimate));
  std::vector<double> times;
  for (int i = 0; i < (options_.small ? 2 : kRepetitions); ++i) {
    timer->start();
    for (int k = 0; k < replays; ++k) once();
    times.push_back(timer->stop() / static_cast<double>(replays * kRounds * kSets * c.steps));
  }
  if (c.captured) kernels::release(s, graph);
  std::sort(times.begin(), times.end());
  const size_t middle = times.size() / 2;
  const double median =
      times.size() % 2 ? times[middle] : 0.5 * (times[middle - 1] + times[middle]);
  return {median, times.front(), times.back(), static_cast<int>(times.size()),
          static_cast<int64_t>(replays) * kRounds * kSets};
}

Figures Suite::measure(const Case& c) {
  try {
    const Figures figures = time(c);
    keep(c, figures, "");
    return figures;
  } catch (const kernels::DeviceError& refusal) {
    ++failures_;
    keep(c, {}, refusal.what());
    return {};
  }
}

void Suite::difference(const Case& c, const Figures& both, const Figures& first) {
  if (both.median == 0 || first.median == 0) return;
  keep(c,
       {both.median - first.median, both.least - first.most, both.most - first.least,
        both.repetitions, both.calls},
       "");
}

void Suite::keep(const Case& c, const Figures& f, const std::string& problem) {
  nlohmann::ordered_json row = {{"op", c.op},
                                {"version", c.version},
                                {"shape", c.shape},
                                {"precision", name(c.precision)},
                                {"unit", c.steps > 1 ? "us a step" : "us"}};
  if (problem.empty()) {
    row.update({{"median", f.median},
                {"least", f.least},
                {"most", f.most},
                {"repetitions", f.repetitions},
                {"calls", f.calls}});
    const double seconds = f.median * 1e-6 * static_cast<double>(c.steps);
    if (c.flops > 0) row["tflops"] = c.flops / seconds * 1e-12;
    if (c.bytes > 0) row["gb_s"] = c.bytes / seconds * 1e-9;
  } else {
    row["problem"] = problem;
  }
  const bool paper = !options_.small;  // targets mean the paper's sizes
  if (paper && c.target.floor > 0) row["floor"] = c.target.floor;
  if (paper && c.target.must > 0) {
    row.update({{"must", c.target.must}, {"aim", c.target.aim}, {"moon", c.target.moon}});
    if (problem.empty()) row["reached"] = verdict(c.target, f.median);
  }
  rows_.push_back(row);
  fmt::print(stderr, "{} {} {} {}: {}\n", c.op, c.version, name(c.precision), c.shape,
             problem.empty() ? fmt::format("{:.3f} {} ({:.3f} to {:.3f})", f.median,
                                           row["unit"].get<std::string>(), f.least, f.most)
                             : problem);
  write();
}

// After every row: a program that is stopped leaves what it has.
void Suite::write() const {
  if (options_.json.empty()) return;
  std::ofstream(options_.json + ".new")
      << nlohmann::ordered_json{{"small", options_.small}, {"rows", rows_}}.dump(1) << "\n";
  std::rename((options_.json + ".new").c_str(), options_.json.c_str());
}

void Suite::print_table() const {
  fmt::print("{:<26} {:<12} {:<5} {:<22} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>6} {:>6}  {}\n",
             "op", "version", "prec", "shape", "us", "least", "most", "floor", "must", "aim",
             "moon", "", "reached");
  for (const auto& row : rows_) {
    const auto figure = [&](const char* key) { return number(row.value(key, 0.0)); };
    const std::string rate = row.contains("tflops") && row["tflops"].get<double>() >= 1
                                 ? fmt::format("{:.0f} TF", row["tflops"].get<double>())
                             : row.contains("gb_s")
                                 ? fmt::format("{:.0f} GB", row["gb_s"].get<double>())
                                 : "";
    fmt::print(
        "{:<26} {:<12} {:<5} {:<22} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>6} {:>6}  {}\n",
        row["op"].get<std::string>(), row["version"].get<std::string>(),
        row["precision"].get<std::string>(), row["shape"].get<std::string>(), figure("median"),
        figure("least"), figure("most"), figure("floor"), figure("must"), figure("aim"),
        figure("moon"), rate,
        row.contains("problem") ? row["problem"].get<std::string>() : row.value("reached", ""));
  }
}

}  // namespace etude::bench
