#include "bench/kernels/sampler.h"
#include "kernels/device_cuda.h"

namespace etude::bench {
namespace {

class EventTimer : public Timer {
 public:
  explicit EventTimer(const kernels::Stream& stream)
      : stream_(kernels::cuda::queue_of(stream).stream) {
    CUDA_CHECK(cudaEventCreate(&begin_));
    CUDA_CHECK(cudaEventCreate(&end_));
  }
  ~EventTimer() override {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  void start() override { CUDA_CHECK(cudaEventRecord(begin_, stream_)); }
  double stop() override {
    CUDA_CHECK(cudaEventRecord(end_, stream_));
    CUDA_CHECK(cudaEventSynchronize(end_));
    float milliseconds = 0;
    CUDA_CHECK(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t begin_, end_;
};

}  // namespace

std::unique_ptr<Timer> make_event_timer(const kernels::Stream& stream) {
  return std::make_unique<EventTimer>(stream);
}

}  // namespace etude::bench
