#pragma once

// A profile as text, as JSON, and its events for a trace viewer.

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/profiler.h"
#include "kernels/probe.h"

namespace etude::apps {

// What was profiled, in words and as JSON.
struct Profiled {
  std::string model, data, device, precision;
  int64_t batch, window, classes;
  kernels::Ceilings ceilings;  // all 0: there is no floor
  Profile profile;
};

// What was run and on what, a sentence each.
std::vector<std::string> facts(const Profiled& profiled);

// The kernels by their time; the first line has the columns' names, a part of a kernel begins with
// two spaces.
using TableLine = std::array<std::string, 10>;
std::vector<TableLine> kernel_table(const Profiled& profiled);

std::string describe(const Profiled& profiled);
nlohmann::ordered_json to_json(const Profiled& profiled);

// For Perfetto (ui.perfetto.dev) and chrome://tracing.
nlohmann::ordered_json chrome_trace(const std::vector<Trace::Event>& events,
                                    const std::string& title, const kernels::Ceilings& ceilings);

const char* pass_name(kernels::SpanKind pass);  // "forward", "backward", or nothing

}  // namespace etude::apps
