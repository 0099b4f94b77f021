#pragma once

// Between the cases and Google Benchmark: registers them, and gives each run its counters.

#include <map>
#include <memory>

#include "bench/kernels/sampler.h"
#include "bench/kernels/suite.h"
#include "kernels/probe.h"

namespace benchmark {
class State;
}

namespace etude::bench {

// One a precision, as they are used.
using Ceilings = std::map<Precision, kernels::Ceilings>;

// Lives while benchmarks run, and no longer than the suite.
class Runner {
 public:
  Runner(const Suite& suite, const Ceilings& ceilings);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  bool any_failed() const { return failed_; }  // each has said so in its row

 private:
  void run(benchmark::State& state, const Case& c);
  void prepare(const Case& c);

  Ceilings ceilings_;
  bool failed_ = false;
  // A benchmark is called several times in a row, to find how many iterations it needs and for its
  // repetitions: its arrays and graphs are made once.
  const Case* current_ = nullptr;
  Work work_;
  std::unique_ptr<Sampler> sampler_;
};

}  // namespace etude::bench
