#include "kernels/stamps.h"

#include <chrono>

namespace etude::kernels {
namespace {

class HostStamps : public Stamps {
 public:
  void put() override { stamps_.push_back(Clock::now()); }
  std::vector<double> seconds() override {
    std::vector<double> since;
    for (const Clock::time_point& stamp : stamps_)
      since.push_back(std::chrono::duration<double>(stamp - stamps_.front()).count());
    return since;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> stamps_;
};

}  // namespace

std::unique_ptr<Stamps> make_stamps([[maybe_unused]] const Stream& stream) {
#if ETUDE_CUDA
  if (stream.device == Device::cuda) return cuda::make_stamps(stream);
#endif
  return std::make_unique<HostStamps>();
}

}  // namespace etude::kernels
