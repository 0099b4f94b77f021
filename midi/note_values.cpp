#include "midi/note_values.h"

#include <algorithm>
#include <array>

namespace etude::midi {
namespace {

// Positions and lengths below are in ticks from the bar's start, or in 128th notes as written: in
// a triplet a tick is one, elsewhere three ticks are two.
constexpr int64_t kTicksOf64th = 3;

constexpr std::array<std::string_view, 9> kTypes = {"128th",   "64th", "32nd",  "16th", "eighth",
                                                    "quarter", "half", "whole", "breve"};

struct Value {
  int type;  // in kTypes: 2^type 128ths
  int dots;

  int64_t length() const { return (int64_t{1} << type) * (2 + dots) / 2; }
};

// The largest that may stand at `at` and is no longer than `left`.
Value value_at(int64_t at, int64_t left, bool rest) {
  for (int type = static_cast<int>(kTypes.size()) - 1; type > 0; --type) {
    const int64_t plain = int64_t{1} << type, half = plain / 2;
    if (!rest && plain + half <= left && at % half == 0) return {type, 1};
    if (plain <= left && at % (rest ? plain : half) == 0) return {type, 0};
  }
  return {0, 0};
}

// A part of the bar that is written in triplets, or without.
struct Region {
  int64_t begin, end;
  bool triplet;
};

class BarWriter {
 public:
  BarWriter(const Bar& bar, std::span<const Note* const> notes)
      : bar_(bar), notes_(notes), length_((bar.end - bar.start).count) {}

  std::vector<Symbol> symbols() {
    if (notes_.empty()) return {{bar_.start, bar_.end - bar_.start, {}}};
    find_edges();
    find_regions();
    size_t region = 0;
    for (size_t i = 0; i + 1 < edges_.size(); ++i) {
      const auto& sounding = sounding_at(edges_[i]);
      for (int64_t at = edges_[i]; at < edges_[i + 1];) {
        while (regions_[region].end <= at) ++region;
        const int64_t end = std::min(edges_[i + 1], regions_[region].end);
        write(regions_[region], at, end, sounding);
        at = end;
      }
    }
    return std::move(symbols_);
  }

 private:
  // A note's start or end within the bar, from the bar's start.
  int64_t clipped(Ticks tick) const {
    return (std::clamp(tick, bar_.start, bar_.end) - bar_.start).count;
  }

  void find_edges() {
    edges_ = {0, length_};
    for (const Note* note : notes_) {
      edges_.push_back(clipped(note->start));
      edges_.push_back(clipped(note->end));
    }
    std::ranges::sort(edges_);
    edges_.erase(std::ranges::unique(edges_).begin(), edges_.end());
  }

  // By quarters; what is left at the end of the bar by halves, quarters, ... of one: a bar's length
  // is a number of sixty-fourths.
  void find_regions() {
    int64_t length = kGridTicks;
    for (int64_t at = 0; at < length_; at += length) {
      while (length > length_ - at) length /= 2;
      add_regions(at, at + length);
    }
  }

  void add_regions(int64_t begin, int64_t end) {
    const auto first = std::ranges::upper_bound(edges_, begin);
    const auto last = std::ranges::lower_bound(edges_, end);
    const bool triplet =
        std::any_of(first, last, [](int64_t edge) { return edge % kTicksOf64th != 0; });
    const int64_t middle = (begin + end) / 2;
    if (triplet && (end - begin) % (2 * kTicksOf64th) == 0 && end - begin > kGridTicks / 4 &&
        std::ranges::binary_search(edges_, middle)) {
      add_regions(begin, middle);
      add_regions(middle, end);
    } else if (!triplet && !regions_.empty() && !regions_.back().triplet) {
      regions_.back().end = end;
    } else {
      regions_.push_back({begin, end, triplet});
    }
  }

  // From one edge to the next; edges are asked for in order.
  const std::vector<const Note*>& sounding_at(int64_t edge) {
    std::erase_if(sounding_, [&](const Note* note) { return clipped(note->end) <= edge; });
    for (; next_ < notes_.size() && clipped(notes_[next_]->start) <= edge; ++next_)
      sounding_.push_back(notes_[next_]);
    std::ranges::sort(sounding_, {}, &Note::pitch);
    return sounding_;
  }

  void write(const Region& region, int64_t begin, int64_t end,
             const std::vector<const Note*>& sounding) {
    const int64_t origin = region.triplet ? region.begin : 0;
    const auto written = [&](int64_t ticks) {
      return region.triplet ? ticks : ticks * 2 / kTicksOf64th;
    };
    for (int64_t at = begin; at < end;) {
      const Value value = value_at(written(at - origin), written(end - at), sounding.empty());
      const int64_t ticks = region.triplet ? value.length() : value.length() * kTicksOf64th / 2;
      add(region, at, at + ticks, value, sounding);
      at += ticks;
    }
  }

  void add(const Region& region, int64_t begin, int64_t end, Value value,
           const std::vector<const Note*>& sounding) {
    Symbol symbol{bar_.start + Ticks{begin},
                  {end - begin},
                  kTypes[static_cast<size_t>(value.type)],
                  value.dots};
    if (region.triplet) {
      symbol.triplet_begins = begin == region.begin;
      symbol.triplet_ends = end == region.end;
      symbol.triplet_of = third_of(region);
    }
    for (const Note* note : sounding) {
      const bool tied_from = note->start < symbol.start;
      const bool tied_to = note->end > symbol.start + symbol.length;
      symbol.heads.push_back({note, tied_from, tied_to});
    }
    symbols_.push_back(std::move(symbol));
  }

  // A third of a triplet in the time of a quarter is an eighth as written.
  static std::string_view third_of(const Region& region) {
    size_t type = 0;
    while (3 << (type + 1) <= region.end - region.begin) ++type;
    return kTypes[type];
  }

  const Bar& bar_;
  std::span<const Note* const> notes_;
  const int64_t length_;
  std::vector<int64_t> edges_;  // where what sounds changes, and the bar's own
  std::vector<Region> regions_;
  size_t next_ = 0;  // in notes_: the first not yet in sounding_
  std::vector<const Note*> sounding_;
  std::vector<Symbol> symbols_;
};

}  // namespace

std::vector<Symbol> symbols_of(const Bar& bar, std::span<const Note* const> notes) {
  return BarWriter(bar, notes).symbols();
}

}  // namespace etude::midi
