#include "apps/findings.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/messages.h"

namespace etude::apps {

std::string finding_line(const midi::Score& score, const midi::Finding& finding) {
  return fmt::format("{} {}: {}", score.place_unit, finding.place, finding.what);
}

void tell_findings(const midi::Score& score) {
  constexpr size_t kTold = 3;
  const size_t told = std::min(kTold, score.found.size());
  for (size_t i = 0; i < told; ++i)
    tell_line(fmt::format("{}: {}", score.name, finding_line(score, score.found[i])));
  if (told < score.found.size())
    tell_line(fmt::format("{}: and {} more (`etude info` lists them)", score.name,
                          score.found.size() - told));
}

}  // namespace etude::apps
