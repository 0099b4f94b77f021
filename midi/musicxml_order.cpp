#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "midi/error.h"
#include "midi/musicxml_model.h"

namespace etude::midi::musicxml {
namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();

// An ending (volta bracket) over measures [first, last]. Endings that follow one another directly
// are a group: the alternatives of one section.
struct Ending {
  size_t first, last;
  std::vector<int> numbers;
  size_t group_end;      // the last measure of its group
  int group_passes = 1;  // how often the section before the group is played
};

std::vector<Ending> find_endings(const std::vector<Signs>& signs) {
  std::vector<Ending> endings;
  for (size_t i = 0; i < signs.size(); ++i) {
    if (signs[i].ending.empty()) continue;
    size_t last = i;
    // One that is never stopped ends where the next begins.
    while (!signs[last].ending_stops && last + 1 < signs.size() && signs[last + 1].ending.empty())
      ++last;
    if (!signs[last].ending_stops) last = i;
    endings.push_back({i, last, signs[i].ending, last});
    i = last;
  }
  for (size_t from = 0; from < endings.size();) {
    size_t to = from + 1;
    while (to < endings.size() && endings[to].first == endings[to - 1].last + 1) ++to;
    int passes = 1;
    for (size_t k = from; k < to; ++k) {
      const int times = signs[endings[k].last].backward;
      passes = std::max({passes, std::ranges::max(endings[k].numbers), times > 2 ? times : 0});
    }
    // What leads back from a lone ending is heard again without it.
    if (to == from + 1 && signs[endings[from].last].backward > 0)
      passes = std::max(passes, std::ranges::max(endings[from].numbers) + 1);
    for (size_t k = from; k < to; ++k) {
      endings[k].group_end = endings[to - 1].last;
      endings[k].group_passes = passes;
    }
    from = to;
  }
  return endings;
}

// The measures that have a sign, by its name and in all.
class Places {
 public:
  Places(const std::vector<Signs>& signs, std::optional<std::string> Signs::*sign) {
    for (size_t i = 0; i < signs.size(); ++i) {
      const auto& there = signs[i].*sign;
      if (!there) continue;
      named_[*there].push_back(i);
      all_.push_back(i);
    }
  }

  // The one with that name, the first from `from` on if there is one; else any with such a sign.
  size_t find(const std::string& name, size_t from) const {
    const auto named = named_.find(name);
    const std::vector<size_t>& among = named == named_.end() ? all_ : named->second;
    if (among.empty()) return kNone;
    const auto next = std::ranges::lower_bound(among, from);
    return next == among.end() ? among.front() : *next;
  }

 private:
  std::map<std::string, std::vector<size_t>> named_;
  std::vector<size_t> all_;  // ascending, as those of a name
};

class Player {
 public:
  Player(const std::vector<Signs>& signs, size_t limit, const std::string& name, Notices& found)
      : signs_(signs),
        limit_(limit),
        name_(name),
        found_(found),
        endings_(find_endings(signs)),
        segnos_(signs, &Signs::segno),
        codas_(signs, &Signs::coda) {
    ending_of_.assign(signs.size(), kNone);
    for (size_t k = 0; k < endings_.size(); ++k) {
      for (size_t i = endings_[k].first; i <= endings_[k].last; ++i) ending_of_[i] = k;
    }
    obeyed_.assign(signs.size(), false);
  }

  std::vector<size_t> play() {
    size_t at = 0;
    while (at < signs_.size()) at = step(at);
    return std::move(order_);
  }

 private:
  // Plays the measure, or skips the ending that begins there; returns what comes next.
  size_t step(size_t at) {
    if (signs_[at].forward && at != section_) begin_section(at);
    const size_t ending = ending_of_[at];
    if (ending != kNone && endings_[ending].first == at && !plays(endings_[ending])) {
      const size_t next = endings_[ending].last + 1;
      if (endings_[ending].last == endings_[ending].group_end) begin_section(next);
      return next;
    }
    if (order_.size() == limit_) {
      throw LimitError(name_, fmt::format("line {}: more than {} measures with repeats written out "
                                          "are not read",
                                          signs_[at].line, limit_));
    }
    order_.push_back(at);
    return after(at);
  }

  bool plays(const Ending& ending) const {
    const int pass = jumped_ ? ending.group_passes : pass_;
    return std::ranges::binary_search(ending.numbers, pass);
  }

  size_t after(size_t at) {
    const Signs& signs = signs_[at];
    const Ending* ending = ending_of_[at] == kNone ? nullptr : &endings_[ending_of_[at]];
    if (signs.backward > 0 && !jumped_) {
      const int passes = ending ? ending->group_passes : signs.backward;
      if (pass_ < passes) {
        ++pass_;
        return section_;
      }
      if (!ending) begin_section(at + 1);
    }
    if (jumped_ && signs.fine) return signs_.size();
    if (jumped_ && signs.tocoda) {
      const size_t coda = codas_.find(*signs.tocoda, at);
      if (coda != kNone) return coda;
      found_.add(signs.line, "To Coda without a coda ignored");
    }
    if ((signs.dacapo || signs.dalsegno) && !obeyed_[at]) {
      obeyed_[at] = true;
      const size_t to = signs.dacapo ? 0 : segnos_.find(*signs.dalsegno, 0);
      if (to != kNone) {
        jumped_ = true;
        section_ = kNone;
        return to;
      }
      found_.add(signs.line, "dal segno without a segno ignored");
    }
    if (ending && at == ending->group_end) begin_section(at + 1);
    return at + 1;
  }

  void begin_section(size_t at) {
    section_ = at;
    pass_ = 1;
  }

  const std::vector<Signs>& signs_;
  size_t limit_;
  const std::string& name_;
  Notices& found_;
  std::vector<Ending> endings_;
  Places segnos_, codas_;
  std::vector<size_t> ending_of_;  // by measure: index in endings_
  std::vector<bool> obeyed_;       // by measure: its D.C. or D.S.
  std::vector<size_t> order_;
  size_t section_ = 0;  // where a backward repeat leads
  int pass_ = 1;        // of that section
  bool jumped_ = false;
};

}  // namespace

std::vector<size_t> play_order(const std::vector<Signs>& signs, size_t limit,
                               const std::string& name, Notices& found) {
  return Player(signs, limit, name, found).play();
}

}  // namespace etude::midi::musicxml
