#include "midi/bars.h"

#include <fmt/format.h>

#include <algorithm>

#include "midi/error.h"

namespace etude::midi {
namespace {

// Where a meter gives way to the next.
Ticks change_after(Ticks start, Meter meter, Ticks next) {
  constexpr int64_t kSixteenth = kGridTicks / 4;
  if ((next - start).count % meter.bar().count == 0) return next;
  return std::max(start, Ticks{(next.count + kSixteenth / 2) / kSixteenth * kSixteenth});
}

}  // namespace

std::vector<Bar> bars_of(const GridScore& music) {
  const size_t parts = std::max<size_t>(1, music.parts.size());
  const size_t limit = kMaxBars / parts;
  const Ticks end = std::max(music.end(), Ticks{1});
  std::vector<Bar> bars;
  Ticks at;
  for (size_t i = 0; i < music.meters.size() && at < end; ++i) {
    const Meter meter = music.meters[i].meter;
    const bool last = i + 1 == music.meters.size();
    const Ticks stop =
        last ? end : std::min(end, change_after(at, meter, music.meters[i + 1].tick));
    const bool cut = !last && stop < end;
    while (at < stop) {
      if (bars.size() == limit)
        throw LimitError(music.name, fmt::format("more than {} bars in {} part{}", limit, parts,
                                                 parts == 1 ? "" : "s"));
      const Ticks full = at + meter.bar();
      bars.push_back({at, cut ? std::min(full, stop) : full, meter});
      at = bars.back().end;
    }
  }
  return bars;
}

}  // namespace etude::midi
