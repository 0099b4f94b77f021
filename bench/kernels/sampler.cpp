#include "bench/kernels/sampler.h"

#include <algorithm>
#include <chrono>

#include "kernels/device.h"

namespace etude::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// So many pieces of `seconds` each that a sample takes `enough`, but no more than `most`.
int64_t pieces(double enough, double seconds, int64_t most) {
  const double wanted = enough / std::max(seconds, 1e-9);
  return std::clamp<int64_t>(static_cast<int64_t>(std::min(wanted, 1e6)), 1,
                             std::max<int64_t>(most, 1));
}

class HostSampler : public Sampler {
 public:
  explicit HostSampler(const Work& work) : work_(work) {
    calls_ = work_.sets;  // every set once: pages are touched, libraries have made their code
    sample();
    calls_ = 1;
    calls_ = pieces(1e-4, sample(), work_.most_calls);
  }
  int64_t calls() const override { return calls_; }
  double sample() override {
    if (work_.reset) work_.reset();
    return work_.before ? sample_with_before() : sample_calls();
  }

 private:
  double sample_calls() {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < calls_; ++i) work_.call(next_set());
    return seconds_since(start);
  }
  double sample_with_before() {
    double total = 0;
    for (int64_t i = 0; i < calls_; ++i) {
      const int set = next_set();
      work_.before(set);
      const Clock::time_point start = Clock::now();
      work_.call(set);
      total += seconds_since(start);
    }
    return total;
  }
  int next_set() { return turn_ = (turn_ + 1) % work_.sets; }

  Work work_;
  int64_t calls_ = 0;
  int turn_ = 0;
};

class HostTimer : public Timer {
 public:
  explicit HostTimer(const Stream& stream) : stream_(stream) {}
  void start() override {
    kernels::synchronize(stream_);
    start_ = Clock::now();
  }
  double stop() override {
    kernels::synchronize(stream_);
    return seconds_since(start_);
  }

 private:
  Stream stream_;
  Clock::time_point start_;
};

std::unique_ptr<Timer> make_timer(const Stream& stream) {
#if ETUDE_CUDA
  if (stream.device == kernels::Device::cuda) return make_event_timer(stream);
#endif
  return std::make_unique<HostTimer>(stream);
}

// Each graph has every set at least once, and several calls: the launch of the graph itself, spread
// over them, is in the figure as it is in a training step's.
class DeviceSampler : public Sampler {
 public:
  DeviceSampler(const Stream& stream, const Work& work)
      : stream_(stream), work_(work), timer_(make_timer(stream)) {
    if (emulated())  // slow, and its times mean nothing
      work_.sets = std::min(work_.sets, 2);
    else
      rounds_ = std::max(1, kCalls / work_.sets);
    for (int set = 0; set < work_.sets; ++set) {  // libraries load, attributes are set
      if (work_.before) work_.before(set);
      work_.call(set);
    }
    kernels::synchronize(stream_);
    all_ = record(true);
    if (work_.before) before_ = record(false);
    const int64_t most = work_.most_calls / graph_calls();
    replays_ = pieces(2e-3, time(all_), most);
  }
  ~DeviceSampler() override {
    if (all_.handle) kernels::release(stream_, all_);
    if (before_.handle) kernels::release(stream_, before_);
  }
  int64_t calls() const override { return replays_ * graph_calls(); }
  double sample() override {
    if (!work_.before) return time(all_);
    for (int attempt = 0; attempt < 10; ++attempt)  // a disturbance can make less of more
      if (const double calls = time(all_) - time(before_); calls > 0) return calls;
    throw kernels::DeviceError("its time does not stand out from that of what goes before it");
  }

 private:
  static constexpr int kCalls = 8;

  bool emulated() const { return stream_.device == kernels::Device::simt; }
  int64_t graph_calls() const { return int64_t{rounds_} * work_.sets; }

  kernels::Graph record(bool with_call) {
    kernels::begin_capture(stream_);
    try {
      for (int i = 0; i < rounds_ * work_.sets; ++i) {
        if (work_.before) work_.before(i % work_.sets);
        if (with_call) work_.call(i % work_.sets);
      }
    } catch (...) {
      kernels::abandon_capture(stream_);
      throw;
    }
    return kernels::end_capture(stream_);
  }

  double time(const kernels::Graph& graph) {
    if (!emulated()) kernels::replay(stream_, graph);  // the sets are in their places
    if (work_.reset) work_.reset();
    timer_->start();
    for (int64_t i = 0; i < replays_; ++i) kernels::replay(stream_, graph);
    return timer_->stop();
  }

  Stream stream_;
  Work work_;
  std::unique_ptr<Timer> timer_;
  kernels::Graph all_, before_;
  int rounds_ = 1;
  int64_t replays_ = 1;
};

}  // namespace

std::unique_ptr<Sampler> make_sampler(const Stream& stream, const Work& work) {
  if (stream.device == kernels::Device::cpu) return std::make_unique<HostSampler>(work);
  return std::make_unique<DeviceSampler>(stream, work);
}

}  // namespace etude::bench
