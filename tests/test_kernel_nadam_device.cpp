#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kernels/embedding.h"
#include "kernels/nadam.h"
#include "tests/nadam_case.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::EmbeddingShape;
using kernels::NadamStep;
using kernels::Stream;

namespace {

using Floats = std::vector<float>;
using State = std::array<Floats, 3>;  // w, m, v

// One recorded update on a device, replayed with each step's numbers.
struct OnDevice {
  OnDevice(const Stream& on, const Floats& start, int64_t offset = 0)
      : stream(on),
        w(on, start),
        g(on, std::ssize(start)),
        m(on, Floats(start.size())),
        v(on, Floats(start.size())),
        step(on, 1),
        state{w.data() + offset, g.data() + offset, m.data() + offset, v.data() + offset} {}
  ~OnDevice() {
    if (graph.handle) kernels::release(stream, graph);
  }
  template <typename Update>
  void record(const Update& update) {
    kernels::begin_capture(stream);
    update();
    graph = kernels::end_capture(stream);
  }
  void next(const NadamStep& now, const Floats& gradient) {
    kernels::copy_to_device(stream, step.data(), &now, sizeof now);
    kernels::copy_to_device(stream, g.data(), gradient.data(),
                            static_cast<int64_t>(gradient.size() * sizeof(float)));
    kernels::replay(stream, graph);
    kernels::synchronize(stream);
    CHECK_MESSAGE(g.read() == gradient, "the gradient was changed");
  }
  State read() const {
    CHECK((w.guards_intact() && m.guards_intact() && v.guards_intact() && step.guards_intact()));
    return {w.read(), m.read(), v.read()};
  }

  Stream stream;
  DeviceArray<float> w, g, m, v;
  DeviceArray<NadamStep> step;
  kernels::NadamState state;
  kernels::Graph graph;
};

std::vector<NadamStep> plan(int64_t steps) {
  std::vector<NadamStep> all;
  double product = 1;
  for (int64_t t = 1; t <= steps; ++t) all.push_back(kernels::nadam_step({}, t, product));
  return all;
}

void check_same(const std::string& what, const State& got, const State& cpu) {
  for (size_t i = 0; i < 3; ++i) {
    check_close(fmt::format("{}: {}", what, "wmv"[i]), to_double(got[i]), to_double(cpu[i]), 1e-6);
    // As g++ contracts the CPU's kernel, where no sanitizer stands between its products and sums.
#if defined(__FMA__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
    CHECK_MESSAGE(got[i] == cpu[i], what, ": other bits than the CPU's in ", "wmv"[i]);
#endif
  }
}

State on_cpu(const Floats& start, const std::vector<NadamStep>& steps,
             const std::vector<Floats>& gradients) {
  State s = {start, Floats(start.size()), Floats(start.size())};
  for (size_t t = 0; t < steps.size(); ++t)
    kernels::cpu::nadam_update(std::ssize(start), steps[t],
                               {s[0].data(), gradients[t].data(), s[1].data(), s[2].data()});
  return s;
}

std::vector<Floats> gradients_of(int64_t n, int64_t steps) {
  std::vector<Floats> all;
  for (int64_t t = 1; t <= steps; ++t) all.push_back(to_float(gradient_of_step(n, t)));
  return all;
}

// The ids and the gradient of a table's step.
struct TableStep {
  std::vector<int32_t> ids;
  Floats gradient;
};
TableStep table_step(const EmbeddingShape& table, uint64_t t) {
  TableStep step{random_ids(table.count, t, static_cast<int32_t>(table.classes)),
                 Floats(static_cast<size_t>(table.classes * table.dim))};
  const Floats numbers = to_float(random_numbers(table.classes * table.dim, 50 + t));
  for (const int32_t id : step.ids)
    std::copy_n(numbers.data() + id * table.dim, table.dim, step.gradient.data() + id * table.dim);
  return step;
}

State sparse_on_cpu(const EmbeddingShape& table, const Floats& start,
                    const std::vector<NadamStep>& steps) {
  State s = {start, Floats(start.size()), Floats(start.size())};
  for (size_t t = 0; t < steps.size(); ++t) {
    const TableStep step = table_step(table, t);
    kernels::cpu::nadam_update_sparse(
        table.classes, table.dim, table.count, step.ids.data(), steps[t],
        {s[0].data(), step.gradient.data(), s[1].data(), s[2].data()});
  }
  return s;
}

State sparse_on(const Stream& stream, const EmbeddingShape& table, const Floats& start,
                const std::vector<NadamStep>& steps) {
  OnDevice device(stream, start);
  const DeviceArray<int32_t> ids(stream, table.count);
  const DeviceArray<int32_t> index(stream, kernels::simt::embedding_index_size(table));
  device.record([&] {
    ON_DEVICE(stream, embedding_index, table, ids.data(), index.data());
    ON_DEVICE(stream, nadam_update_sparse, table, index.data(), device.step.data(), device.state);
  });
  for (size_t t = 0; t < steps.size(); ++t) {
    const TableStep step = table_step(table, t);
    kernels::copy_to_device(stream, ids.data(), step.ids.data(), table.count * 4);
    device.next(steps[t], step.gradient);
  }
  CHECK(index.guards_intact());
  return device.read();
}

}  // namespace

TEST_CASE("Nadam's CUDA kernel gives the CPU's numbers") {
  for (const int64_t n : {1, 3, 4, 33, 1026, 50'001}) {
    const auto steps = plan(n > 10'000 ? 3 : 60);
    const auto gradients = gradients_of(n, std::ssize(steps));
    const Floats start = to_float(random_numbers(n, 1));
    const State want = on_cpu(start, steps, gradients);
    const auto streams = device_streams(kernels::Precision::fp32);
    for (const Stream& stream : streams)
      for (int schedule = 0; schedule < kSchedules; ++schedule) {
        use_schedule(schedule);
        OnDevice device(stream, start);
        device.record(
            [&] { ON_DEVICE(stream, nadam_update, n, device.step.data(), device.state); });
        for (size_t t = 0; t < steps.size(); ++t) device.next(steps[t], gradients[t]);
        check_same(fmt::format("nadam {}", n), device.read(), want);
      }
    use_schedule(0);
    close_streams(streams);
  }
}

TEST_CASE("Nadam's CUDA kernel works off a 16-byte boundary") {
  const int64_t n = 1002;
  const auto steps = plan(3);
  const auto gradients = gradients_of(n, 3);
  const Floats start = to_float(random_numbers(n, 1));
  const State want = on_cpu(start, steps, gradients);
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    OnDevice device(stream, start, 1);
    device.record(
        [&] { ON_DEVICE(stream, nadam_update, n - 1, device.step.data(), device.state); });
    for (size_t t = 0; t < steps.size(); ++t) device.next(steps[t], gradients[t]);
    State got = device.read();
    CHECK((got[0][0] == start[0] && got[1][0] == 0 && got[2][0] == 0));
    for (size_t i = 0; i < 3; ++i) got[i][0] = want[i][0];
    check_same("nadam, unaligned", got, want);
  }
  close_streams(streams);
}

TEST_CASE("sparse Nadam's CUDA kernels give the CPU's numbers") {
  for (const EmbeddingShape& table : {EmbeddingShape{1, 1, 1}, EmbeddingShape{5, 3, 9},
                                      EmbeddingShape{33, 33, 7}, EmbeddingShape{200, 100, 96}}) {
    const auto steps = plan(10);
    const Floats start = to_float(random_numbers(table.classes * table.dim, 1));
    const State want = sparse_on_cpu(table, start, steps);
    const auto streams = device_streams(kernels::Precision::fp32);
    for (const Stream& stream : streams)
      for (int schedule = 0; schedule < kSchedules; ++schedule) {
        use_schedule(schedule);
        check_same(fmt::format("sparse nadam {} x {}", table.classes, table.dim),
                   sparse_on(stream, table, start, steps), want);
      }
    use_schedule(0);
    close_streams(streams);
  }
}
