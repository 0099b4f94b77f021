#pragma once

// The page about a profile: what was run, the layers, the roofline, the table.

#include <string>

#include "apps/profile_report.h"

namespace etude::apps::report {

std::string profile_page(const Profiled& profiled);

}  // namespace etude::apps::report
