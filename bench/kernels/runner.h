#pragma once

// Between the cases and Google Benchmark: registers them, and gives each run its counters.

#include <map>

#include "bench/kernels/suite.h"
#include "kernels/probe.h"

namespace etude::bench {

// One a precision, as they are used.
using Ceilings = std::map<Precision, kernels::Ceilings>;

// Both are read while benchmarks run.
void register_benchmarks(const Suite& suite, const Ceilings& ceilings);

// Whether any benchmark could not run; it has said so in its row.
bool any_failed();

}  // namespace etude::bench
