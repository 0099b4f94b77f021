// The lazy update of an embedding's table must leave the bits of the dense one.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/nadam_lazy.h"
#include "tests/reference/device.h"

using namespace etude;
using namespace etude::tests;
using kernels::EmbeddingShape;
using kernels::NadamStep;
using kernels::Stream;

namespace {

using Floats = std::vector<float>;
using Ids = std::vector<int32_t>;

struct Case {
  EmbeddingShape shape;
  int64_t steps, plan;  // a plan covers so many of the steps
};

// Some rows in every minibatch, one of them often, some never.
Ids ids_of_step(const EmbeddingShape& s, int64_t step) {
  const auto seed = static_cast<uint64_t>(step);
  Ids ids = random_ids(s.count, seed, static_cast<int32_t>(s.classes));
  const Ids choice = random_ids(s.count, 1000 + seed, 8);
  for (size_t i = 0; i < ids.size(); ++i)
    if (choice[i] < 5) ids[i] = choice[i] < 3 ? 1 % static_cast<int32_t>(s.classes) : ids[i] / 4;
  return ids;
}

template <typename T>
void put(const Stream& stream, const DeviceArray<T>& to, const std::vector<T>& from) {
  kernels::copy_to_device(stream, to.data(), from.data(),
                          static_cast<int64_t>(from.size() * sizeof(T)));
  kernels::synchronize(stream);
}

std::vector<NadamStep> plan_of(int64_t first, int64_t steps) {
  std::vector<NadamStep> all;
  double product = 1;
  for (int64_t t = 1; t < first + steps; ++t) {
    const NadamStep step = kernels::nadam_step({.learning_rate = 0.01f}, t, product);
    if (t >= first) all.push_back(step);
  }
  return all;
}

struct Weights {
  Weights(const Stream& stream, const Floats& start)
      : w(stream, start), m(stream, Floats(start.size())), v(stream, Floats(start.size())) {}
  DeviceArray<float> w, m, v;
};

bool same(const DeviceArray<float>& a, const DeviceArray<float>& b) {
  return same_bits(to_double(a.read()), to_double(b.read())) && a.guards_intact();
}

// Two tables that get the same gradients: one densely, one lazily.
class Twins {
 public:
  Twins(const Stream& stream, const Case& c)
      : stream_(stream),
        case_(c),
        start_(to_float(random_numbers(c.shape.classes * c.shape.dim, 1))),
        dense_(stream, start_),
        lazy_(stream, start_),
        g_(stream, std::ssize(start_)),
        dy_(stream, c.shape.count * c.shape.dim),
        ids_(stream, c.shape.count),
        index_(stream, kernels::simt::embedding_index_size(c.shape)),
        last_(stream, c.shape.classes),
        cursor_(stream, 1),
        scalars_(stream, c.plan),
        table_{c.shape.classes, c.shape.dim,  lazy_.w.data(),  lazy_.m.data(),
               lazy_.v.data(),  last_.data(), scalars_.data(), cursor_.data()} {}

  void open_plan(int64_t first) {
    put(stream_, scalars_, plan_of(first + 1, case_.plan));
    put(stream_, cursor_, std::vector<int64_t>{0});
    ON_DEVICE(stream_, nadam_lazy_begin, table_);
  }

  void step(int64_t number) {
    const EmbeddingShape& s = case_.shape;
    const Ids ids = ids_of_step(s, number);
    put(stream_, ids_, ids);
    ON_DEVICE(stream_, embedding_index, s, ids_.data(), index_.data());
    put(stream_, dy_,
        to_float(random_numbers(s.count * s.dim, 5000 + static_cast<uint64_t>(number))));
    ON_DEVICE(stream_, nadam_lazy_catch_up, table_, s.count, ids_.data());
    check_what_forward_reads(ids);
    const int64_t done = number % case_.plan;
    ON_DEVICE(stream_, embedding_backward, s, index_.data(), dy_.data(), g_.data(),
              Write::overwrite);
    ON_DEVICE(stream_, nadam_update, s.classes * s.dim, scalars_.data() + done,
              {dense_.w.data(), g_.data(), dense_.m.data(), dense_.v.data()});
    ON_DEVICE(stream_, nadam_lazy_update, table_, s.count, index_.data(), dy_.data());
    put(stream_, cursor_, std::vector<int64_t>{done + 1});
    for (const int32_t last : last_.read()) CHECK((last >= -1 && last <= done + 1));
  }

  void flush() {
    ON_DEVICE(stream_, nadam_lazy_flush, table_);
    CHECK(same(lazy_.w, dense_.w));
    CHECK(same(lazy_.m, dense_.m));
    CHECK(same(lazy_.v, dense_.v));
    CHECK(last_.guards_intact());
  }

 private:
  void check_what_forward_reads(const Ids& ids) const {
    const Floats dense = dense_.w.read(), lazy = lazy_.w.read();
    for (const int32_t id : ids) {
      const auto begin = id * case_.shape.dim, end = begin + case_.shape.dim;
      CHECK(std::equal(dense.begin() + begin, dense.begin() + end, lazy.begin() + begin));
    }
  }

  Stream stream_;
  Case case_;
  Floats start_;
  Weights dense_, lazy_;
  DeviceArray<float> g_, dy_;
  DeviceArray<int32_t> ids_, index_, last_;
  DeviceArray<int64_t> cursor_;
  DeviceArray<NadamStep> scalars_;
  kernels::NadamLazyTable table_;
};

void check_case(const Case& c, int schedules = kSchedules) {
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams)
    for (int schedule = 0; schedule < schedules; ++schedule) {
      INFO(c.shape.classes, " x ", c.shape.dim, ", schedule ", schedule);
      use_schedule(schedule);
      Twins twins(stream, c);
      for (int64_t step = 0; step < c.steps; ++step) {
        if (step % c.plan == 0) {
          if (step > 0) twins.flush();
          twins.open_plan(step);
        }
        twins.step(step);
        if (step % 17 == 3) twins.flush();  // as an evaluation would
      }
      twins.flush();
    }
  use_schedule(0);
  close_streams(streams);
}

}  // namespace

TEST_CASE("the lazy update leaves the dense update's bits") {
  check_case({{1, 1, 1}, 5, 5});
  check_case({{33, 33, 3}, 20, 7});
  check_case({{40, 5, 12}, 40, 30});
  check_case({{40, 8, 12}, 10, 10});
  check_case({{10, 12, 100}, 6, 4});  // runs that are cut among warps
  check_case({{300, 100, 96}, 4, 4});
}

TEST_CASE("the lazy update leaves the dense update's bits after hundreds of steps") {
  check_case({{37, 4, 3}, 200, 150}, 1);
}

TEST_CASE("momentum that sinks among the denormals is replayed to the same end") {
  // 1,200 steps without a gradient: m becomes denormal, and stops where 0.9 m rounds to m.
  Case c{{3, 4, 1}, 1200, 1200};
  const auto streams = device_streams(kernels::Precision::fp32);
  for (const Stream& stream : streams) {
    const Floats start = to_float(random_numbers(12, 1));
    const Weights dense(stream, start), lazy(stream, start);
    Floats m = to_float(random_numbers(12, 2)), v(12, 1e-3f);
    for (size_t i = 4; i < 12; ++i) m[i] = v[i] = 0;
    m[4] = -0.0f;  // not at rest: the dense update makes it +0
    for (const Weights* both : {&dense, &lazy}) {
      put(stream, both->m, m);
      put(stream, both->v, v);
    }
    const DeviceArray<NadamStep> scalars(stream, plan_of(1, c.plan));
    const DeviceArray<int64_t> cursor(stream, std::vector<int64_t>{0});
    const DeviceArray<int32_t> last(stream, c.shape.classes);
    const DeviceArray<float> zero(stream, Floats(12));
    const kernels::NadamLazyTable table{3,
                                        4,
                                        lazy.w.data(),
                                        lazy.m.data(),
                                        lazy.v.data(),
                                        last.data(),
                                        scalars.data(),
                                        cursor.data()};
    ON_DEVICE(stream, nadam_lazy_begin, table);
    CHECK(last.read() == Ids{0, 0, -1});
    for (int64_t step = 0; step < c.steps; ++step)
      ON_DEVICE(stream, nadam_update, 12, scalars.data() + step,
                {dense.w.data(), zero.data(), dense.m.data(), dense.v.data()});
    put(stream, cursor, std::vector<int64_t>{c.steps});
    ON_DEVICE(stream, nadam_lazy_flush, table);
    CHECK(std::abs(dense.m.read()[0]) < 1e-38f);
    CHECK(same(lazy.w, dense.w));
    CHECK(same(lazy.m, dense.m));
    CHECK(same(lazy.v, dense.v));
    CHECK(last.read() == Ids{1200, 1200, -1});
  }
  close_streams(streams);
}

// Two tables on the CPU, as Twins.
TEST_CASE("on the CPU the lazy update leaves the dense update's bits") {
  for (const Case& c : {Case{{1, 1, 1}, 5, 5}, Case{{40, 5, 12}, 90, 30},
                        Case{{300, 100, 96}, 9, 4}, Case{{50, 300, 7}, 12, 6}}) {
    const EmbeddingShape& s = c.shape;
    const Floats start = to_float(random_numbers(s.classes * s.dim, 1));
    Floats w[2] = {start, start}, m[2] = {Floats(start.size()), Floats(start.size())},
           v[2] = {m[0], m[0]};
    Ids last(s.classes), memory(kernels::cpu::distinct_rows_size(s));
    std::vector<NadamStep> scalars;
    int64_t cursor = 0;
    const auto same_tables = [&] { return w[0] == w[1] && m[0] == m[1] && v[0] == v[1]; };
    for (int64_t step = 0; step < c.steps; ++step) {
      cursor = step % c.plan;
      if (cursor == 0) scalars = plan_of(step + 1, c.plan);
      const kernels::NadamLazyTable table{s.classes,   s.dim,       w[1].data(),    m[1].data(),
                                          v[1].data(), last.data(), scalars.data(), &cursor};
      if (cursor == 0) kernels::cpu::nadam_lazy_begin(table);
      const Ids ids = ids_of_step(s, step);
      const auto rows = kernels::cpu::distinct_rows(s, ids.data(), memory.data());
      kernels::cpu::nadam_lazy_catch_up(table, rows);
      for (int64_t r = 0; r < rows.count; ++r) {
        const auto at = rows.ids[r] * s.dim;
        CHECK(std::equal(w[0].begin() + at, w[0].begin() + at + s.dim, w[1].begin() + at));
      }
      const Floats dy =
          to_float(random_numbers(s.count * s.dim, 5000 + static_cast<uint64_t>(step)));
      Floats g(start.size()), sums(rows.count * s.dim);
      kernels::cpu::embedding_backward(s, ids.data(), dy.data(), g.data(), Write::overwrite);
      kernels::cpu::nadam_update(std::ssize(g), scalars[cursor],
                                 {w[0].data(), g.data(), m[0].data(), v[0].data()});
      kernels::cpu::sum_rows(rows, s.dim, dy.data(), sums.data(), Write::overwrite);
      kernels::cpu::nadam_lazy_update(table, rows, sums.data());
      ++cursor;
      if (step % 17 == 3 || cursor == c.plan) {
        kernels::cpu::nadam_lazy_flush(table);
        CHECK(same_tables());
      }
    }
    CHECK(w[0] != start);
  }
}
