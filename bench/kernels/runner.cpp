#include "bench/kernels/runner.h"

#include <benchmark/benchmark.h>

#include <exception>

#include "bench/kernels/sampler.h"

namespace etude::bench {
namespace {

bool failed = false;

// A benchmark is called several times in a row, to find how many iterations it needs and for its
// repetitions: its arrays and graphs are made once.
struct Current {
  const Case* of = nullptr;
  Work work;
  std::unique_ptr<Sampler> sampler;
};

Current& prepare(const Case& c) {
  static Current current;
  if (current.of == &c) return current;
  current = {};  // before the next one's arrays are made
  current.work = c.make();
  current.sampler = make_sampler(c.stream, current.work);
  current.of = &c;
  return current;
}

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

void run(benchmark::State& state, const Case& c, const Ceilings& ceilings) try {
  Current& current = prepare(c);
  double seconds = 0;
  while (state.KeepRunningBatch(current.sampler->calls())) {
    const double sample = current.sampler->sample();
    state.SetIterationTime(sample);
    seconds += sample;
  }
  count(state, c, current.work, ceilings.at(c.stream.precision),
        seconds / static_cast<double>(state.iterations()));
} catch (const std::exception& error) {
  failed = true;
  state.SkipWithError(error.what());
}

}  // namespace

void register_benchmarks(const Suite& suite, const Ceilings& ceilings) {
  for (const Case& c : suite.cases())
    benchmark::RegisterBenchmark(c.name().c_str(),
                                 [&](benchmark::State& state) { run(state, c, ceilings); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

bool any_failed() { return failed; }

}  // namespace etude::bench
