#pragma once

// What a session keeps on its device, so that training needs no more of the host than "again":
// the tokens of all songs, an epoch's plan, and the graphs of captured steps.

#include <functional>
#include <span>
#include <vector>

#include "engine/memory.h"
#include "engine/session.h"
#include "kernels/nadam_lazy.h"
#include "kernels/step_plan.h"

namespace etude {

struct Session::Resident {
 public:
  explicit Resident(const kernels::Stream& stream) : stream_(stream) {}
  ~Resident();

  void set_tokens(std::span<const int32_t> tokens);
  int64_t bytes() const;
  int64_t token_count() const { return token_count_; }

  // offsets [steps, batch] and the optimiser's numbers [steps]; the next step to run is the first.
  void plan(std::span<const int64_t> offsets, int64_t batch, int64_t time, const Shape& table,
            uint32_t first_step, const std::vector<kernels::NadamStep>& scalars);

  // Into the stream. begin_step() gives the minibatch; its arrays are the device's.
  Batch begin_step();
  void end_step(const float* losses);
  const kernels::StepPlan& step_plan() const { return plan_; }

  // The table's dense update done late (kernels/nadam_lazy.h): begun behind plan(), then in each
  // step before forward reads the table, and behind backward. run() leaves no row behind.
  void begin_late_table(ParamSet& params, const Parameter& table);
  void catch_up_table();
  void update_table(const float* row_gradients);

  // `step` puts all of one step into the stream. The first of a new shape runs as it is,
  // `settle` then gives the arena the size that it needed, and the others are captured; later ones
  // are replays, unless a profiler listens (kernels/span.h): then each runs as it is. Returns the
  // sums of their losses. Error where the plan has fewer left.
  std::vector<double> run(int64_t steps, const std::function<void()>& step,
                          const std::function<void()>& settle);

  // A minibatch from the host, for evaluation, which may move the arena: what was captured is void.
  Batch upload(const Batch& batch);

 private:
  // Steps in the two graphs: many, so that launching is no cost, and one for what is left.
  static constexpr int64_t kLongGraph = 16;

  int64_t some_steps(int64_t most, const std::function<void()>& step,
                     const std::function<void()>& settle);
  kernels::Graph capture(int64_t steps, const std::function<void()>& step);
  const kernels::Graph& graph_of(int64_t steps, const std::function<void()>& step);
  void forget_graphs();
  void flush_table();

  kernels::Stream stream_;
  DeviceMemory tokens_, offsets_, scalars_, losses_, state_, inputs_, targets_, index_, last_;
  int64_t token_count_ = 0, batch_ = 0, time_ = 0, steps_ = 0, done_ = 0;
  uint32_t first_step_ = 1;
  Shape table_;
  kernels::StepPlan plan_{};
  kernels::NadamLazyTable late_{};  // without rows where the table is not updated late
  bool warm_ = false;  // a step of this shape has run: the arena is as large as it will be
  kernels::Graph one_, many_;
};

}  // namespace etude
