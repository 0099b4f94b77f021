#include "bench/kernels/runner.h"

#include <benchmark/benchmark.h>

#include <exception>

namespace etude::bench {
namespace {

// What stays in the cache is held by the cache's ceiling, where that was measured.
kernels::Bound bound_of(const Work& work, kernels::Ceilings ceilings) {
  if (!work.cold && ceilings.cache_bytes_per_second > 0)
    ceilings.copy_bytes_per_second = ceilings.cache_bytes_per_second;
  return kernels::bound(ceilings, work.flops, work.bytes);
}

void count(benchmark::State& state, const Case& c, const Work& work,
           const kernels::Ceilings& ceilings, double seconds) {
  // The same ones for all benchmarks, 0 where one has none: CSV wants it so.
  auto& counters = state.counters;
  const kernels::Bound bound = bound_of(work, ceilings);
  counters["flops"] = work.flops;
  counters["bytes"] = work.bytes;
  counters["GFLOP/s"] = work.flops / seconds * 1e-9;
  counters["GB/s"] = work.bytes / seconds * 1e-9;
  counters["bound_us"] = bound.seconds * 1e6;
  counters["share"] = bound.seconds / seconds;
  counters["cold"] = work.cold;
  if (c.stream.device != kernels::Device::cpu) {
    counters["h100_floor_us"] = c.target.floor;
    counters["must_us"] = c.target.must;
    counters["aim_us"] = c.target.aim;
    counters["moon_us"] = c.target.moon;
  }
  if (bound.seconds > 0) state.SetLabel(bound.by_memory ? "memory" : "arithmetic");
}

}  // namespace

Runner::Runner(const Suite& suite, const Ceilings& ceilings) : ceilings_(ceilings) {
  for (const Case& c : suite.cases())
    benchmark::RegisterBenchmark(c.name().c_str(),
                                 [this, &c](benchmark::State& state) { run(state, c); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

void Runner::prepare(const Case& c) {
  if (current_ == &c) return;
  current_ = nullptr;
  sampler_.reset();
  work_ = {};  // before the next one's arrays are made
  work_ = c.make();
  sampler_ = make_sampler(c.stream, work_);
  current_ = &c;
}

void Runner::run(benchmark::State& state, const Case& c) try {
  prepare(c);
  double seconds = 0;
  while (state.KeepRunningBatch(sampler_->calls())) {
    const double sample = sampler_->sample();
    state.SetIterationTime(sample);
    seconds += sample;
  }
  count(state, c, work_, ceilings_.at(c.stream.precision),
        seconds / static_cast<double>(state.iterations()));
} catch (const std::exception& error) {
  failed_ = true;
  state.SkipWithError(error.what());
}

}  // namespace etude::bench
