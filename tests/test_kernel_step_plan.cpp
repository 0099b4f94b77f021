#include <doctest/doctest.h>

#include <cstring>

#include "kernels/step_plan.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::NadamStep;
using kernels::Stream;

namespace {

struct Sizes {
  int64_t steps, batch, time;
};

// A plan over random songs, on the host.
struct HostPlan {
  explicit HostPlan(const Sizes& sizes) : tokens(random_ids(500, 1, 1000)) {
    double product = 1;
    for (int64_t i = 0; i < sizes.steps * sizes.batch; ++i)
      offsets.push_back(
          random_ids(1, 10 + static_cast<uint64_t>(i), static_cast<int32_t>(500 - sizes.time))[0]);
    for (int64_t t = 1; t <= sizes.steps; ++t)
      scalars.push_back(kernels::nadam_step({}, t, product));
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets;
  std::vector<NadamStep> scalars;
};

std::vector<float> losses_of_step(const Sizes& sizes, int64_t step) {
  return to_float(random_numbers(sizes.batch, 100 + static_cast<uint64_t>(step), 0, 10));
}

void check_windows(const HostPlan& host, const Sizes& sizes, int64_t step,
                   const std::vector<int32_t>& inputs, const std::vector<int32_t>& targets) {
  for (int64_t b = 0; b < sizes.batch; ++b) {
    const int32_t* window = host.tokens.data() + host.offsets[step * sizes.batch + b];
    CHECK(std::equal(window, window + sizes.time, inputs.data() + b * sizes.time));
    CHECK(targets[b] == window[sizes.time]);
  }
}

// All steps of a plan from one recorded step; returns the losses.
std::vector<float> run_plan(const Stream& stream, const Sizes& sizes) {
  constexpr uint32_t kFirst = 41;
  const HostPlan host(sizes);
  const DeviceArray<int32_t> tokens(stream, host.tokens);
  const DeviceArray<int64_t> offsets(stream, host.offsets), cursor(stream, std::vector<int64_t>{0});
  const DeviceArray<NadamStep> scalars(stream, host.scalars), current(stream, 1);
  const DeviceArray<float> losses(stream, sizes.steps), loss(stream, sizes.batch);
  const DeviceArray<uint32_t> number(stream, 1);
  const DeviceArray<int32_t> inputs(stream, sizes.batch * sizes.time), targets(stream, sizes.batch);
  const kernels::StepPlan plan{tokens.data(), offsets.data(), scalars.data(), losses.data(),
                               cursor.data(), number.data(),  current.data()};
  kernels::begin_capture(stream);
  ON_DEVICE(stream, begin_step, plan, kFirst, sizes.batch, sizes.time, inputs.data(),
            targets.data());
  ON_DEVICE(stream, end_step, plan, sizes.batch, loss.data());
  kernels::Graph graph = kernels::end_capture(stream);
  for (int64_t step = 0; step < sizes.steps; ++step) {
    const std::vector<float> of_step = losses_of_step(sizes, step);
    kernels::copy_to_device(stream, loss.data(), of_step.data(),
                            static_cast<int64_t>(of_step.size() * sizeof(float)));
    kernels::replay(stream, graph);
    kernels::synchronize(stream);
    check_windows(host, sizes, step, inputs.read(), targets.read());
    CHECK(number.read()[0] == kFirst + static_cast<uint32_t>(step));
    const NadamStep now = current.read()[0];
    CHECK(std::memcmp(&now, &host.scalars[static_cast<size_t>(step)], sizeof now) == 0);
    CHECK(cursor.read()[0] == step + 1);
  }
  kernels::release(stream, graph);
  for (const auto* array : {&inputs, &targets}) CHECK(array->guards_intact());
  CHECK((losses.guards_intact() && cursor.guards_intact() && number.guards_intact() &&
         current.guards_intact()));
  return losses.read();
}

}  // namespace

TEST_CASE("a plan's steps read their windows and scalars, and leave their losses") {
  for (const Sizes& sizes :
       {Sizes{3, 1, 1}, Sizes{4, 3, 33}, Sizes{2, 96, 50}, Sizes{2, 130, 64}, Sizes{1, 300, 200}}) {
    const auto streams = device_streams(kernels::Precision::fp32);
    for (const Stream& stream : streams) {
      std::vector<float> first;
      for (int schedule = 0; schedule < kSchedules; ++schedule) {
        use_schedule(schedule);
        const std::vector<float> losses = run_plan(stream, sizes);
        if (schedule == 0) first = losses;
        CHECK(losses == first);
      }
      for (int64_t step = 0; step < sizes.steps; ++step) {
        double sum = 0;
        for (const float v : losses_of_step(sizes, step)) sum += v;
        CHECK(first[static_cast<size_t>(step)] == doctest::Approx(sum).epsilon(1e-6));
      }
    }
    use_schedule(0);
    close_streams(streams);
  }
}
