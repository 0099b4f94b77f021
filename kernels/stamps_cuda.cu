// An event behind each piece of work, read when all of it is done. Not yet run on a GPU.

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define ETUDE_NVTX(call) call
#else  // a toolkit without it
#define ETUDE_NVTX(call)
#endif

#include <algorithm>
#include <utility>

#include "kernels/device_cuda.h"
#include "kernels/simt/simt.h"
#include "kernels/span.h"
#include "kernels/stamps.h"

namespace etude::kernels::cuda {
namespace {

// Some 3 ms at 1.7 GHz: longer than the host takes to launch a step.
constexpr long long kHoldCycles = 5'000'000;

__global__ void wait_for(long long cycles) {
  const long long start = clock64();
  while (clock64() - start < cycles) {
  }
}

class EventStamps : public Stamps {
 public:
  explicit EventStamps(const Stream& stream) : stream_(stream) {}
  ~EventStamps() override {
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  void hold() override {
    SpanListener* const listener = std::exchange(span_listener, nullptr);  // no part of the step
    launch(stream_, {"profiler_hold", {1}, {1}}, wait_for, kHoldCycles);
    span_listener = listener;
  }

  void put() override {
    cudaEvent_t event;
    CUDA_CHECK(cudaEventCreate(&event));
    events_.push_back(event);
    CUDA_CHECK(cudaEventRecord(event, queue_of(stream_).stream));
  }

  void open_range([[maybe_unused]] const char* name) override { ETUDE_NVTX(nvtxRangePushA(name)); }
  void close_range() noexcept override { ETUDE_NVTX(nvtxRangePop()); }

  std::vector<double> seconds() override {
    synchronize(stream_);
    std::vector<double> since(std::min<size_t>(1, events_.size()));
    for (size_t i = 1; i < events_.size(); ++i) {  // from one to the next: a float is soon coarse
      float milliseconds = 0;
      CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events_[i - 1], events_[i]));
      since.push_back(since.back() + milliseconds / 1e3);
    }
    return since;
  }

 private:
  Stream stream_;
  std::vector<cudaEvent_t> events_;
};

}  // namespace

std::unique_ptr<Stamps> make_stamps(const Stream& stream) {
  return std::make_unique<EventStamps>(stream);
}

}  // namespace etude::kernels::cuda
