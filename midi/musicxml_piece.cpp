#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "midi/error.h"
#include "midi/musicxml.h"
#include "midi/musicxml_measure.h"
#include "midi/musicxml_model.h"
#include "midi/musicxml_xml.h"
#include "midi/smf.h"
#include "midi/time.h"

namespace etude::midi::musicxml {
namespace {

constexpr int64_t kMaxUnits = int64_t{1} << 31;
constexpr size_t kMaxInstruments = 1000;  // of a part
// Several <part> may be of one <score-part>, and each has its instruments and its name.
constexpr size_t kMaxInstrumentsInAll = 2 * kMaxTracks;
constexpr size_t kMaxPartName = 1000;  // bytes

// The same tree for both layouts.
struct MeasureElement {
  size_t index;  // in the piece
  const Element* element;
};
struct PartElements {
  std::string id;
  std::vector<MeasureElement> measures;  // by index
};
struct ScoreElements {
  std::vector<PartElements> parts;
  size_t measures = 0;
};

[[noreturn]] void refuse(const std::string& name, const Element& at, const std::string& what) {
  throw LimitError(name, fmt::format("line {}: {} are not read", at.GetLineNum(), what));
}

PartElements& add_part(ScoreElements& score, const Element& part, const std::string& name) {
  if (score.parts.size() == kMaxTracks)
    refuse(name, part, fmt::format("more than {} parts", kMaxTracks));
  return score.parts.emplace_back(PartElements{std::string(attribute(part, "id")), {}});
}

void check_measure(size_t index, const Element& measure, const std::string& name) {
  if (index == kMaxMeasures)
    refuse(name, measure, fmt::format("more than {} measures", kMaxMeasures));
}

ScoreElements partwise(const Element& root, const std::string& name) {
  ScoreElements score;
  for (const Element& part : Children(root)) {
    if (!is(part, "part")) continue;
    auto& made = add_part(score, part, name);
    size_t index = 0;
    for (const Element& measure : Children(part)) {
      if (!is(measure, "measure")) continue;
      check_measure(index, measure, name);
      made.measures.push_back({index++, &measure});
    }
    score.measures = std::max(score.measures, index);
  }
  return score;
}

ScoreElements timewise(const Element& root, const std::string& name) {
  ScoreElements score;
  std::map<std::string, size_t, std::less<>> known;
  for (const Element& measure : Children(root)) {
    if (!is(measure, "measure")) continue;
    check_measure(score.measures, measure, name);
    for (const Element& part : Children(measure)) {
      if (!is(part, "part")) continue;
      const auto [at, is_new] =
          known.emplace(std::string(attribute(part, "id")), score.parts.size());
      if (is_new) add_part(score, part, name);
      auto& measures = score.parts[at->second].measures;
      if (!measures.empty() && measures.back().index == score.measures)
        fail(name, part, "a part twice in a measure");
      measures.push_back({score.measures, &part});
    }
    ++score.measures;
  }
  return score;
}

// The lcm of all divisions, times what durations with decimal places need.
class UnitFinder {
 public:
  UnitFinder(const std::string& name, Notices& found) : name_(name), found_(found) {}

  void look(const Element& element) {
    for (const Element& child : Children(element)) {
      if (is(child, "divisions")) {
        const Decimal number = required_decimal(name_, child);
        if (number.value > 0) need(number.value, child);
      } else if (is_one_of(child, {"duration", "offset"})) {
        need(required_decimal(name_, child).scale, child);
      } else if (is_one_of(child,
                           {"note", "backup", "forward", "attributes", "direction", "sound"})) {
        look(child);
      }
    }
  }

  int64_t units() const { return units_; }

 private:
  void need(int64_t factor, const Element& at) {
    const int64_t more = factor / std::gcd(units_, factor);
    if (more <= kMaxUnits / units_) {
      units_ *= more;
    } else if (!told_) {
      told_ = true;
      found_.add(at.GetLineNum(), "divisions without a usable common multiple: durations rounded");
    }
  }

  const std::string& name_;
  Notices& found_;
  int64_t units_ = 1;
  bool told_ = false;
};

int in_range(std::string_view text, int low, int high) {
  const auto number = to_int(text);
  return number && *number >= low && *number <= high ? *number : low - 1;
}

class PartList {
 public:
  PartList(const Element& root, const std::string& name) : name_(name) {
    const Element* list = root.FirstChildElement("part-list");
    if (!list) return;
    for (const Element& child : Children(*list)) {
      if (is(child, "score-part")) parts_.emplace(attribute(child, "id"), &child);
    }
  }

  Part make(const std::string& id) const {
    Part part;
    part.id = id;
    const auto at = parts_.find(id);
    if (at != parts_.end()) describe(*at->second, part);
    if (part.instruments.empty()) part.instruments.emplace_back();
    return part;
  }

 private:
  void describe(const Element& score_part, Part& part) const {
    part.name = child_text(score_part, "part-name");
    if (part.name.size() > kMaxPartName)
      refuse(name_, score_part, fmt::format("part names of more than {} bytes", kMaxPartName));
    for (const Element& child : Children(score_part)) {
      if (is(child, "score-instrument")) named(part, child);
      if (!is(child, "midi-instrument")) continue;
      Instrument& instrument = named(part, child);
      instrument.channel = in_range(child_text(child, "midi-channel"), 1, 16) - 1;
      instrument.program = in_range(child_text(child, "midi-program"), 1, 128) - 1;
      instrument.unpitched = in_range(child_text(child, "midi-unpitched"), 1, 128) - 1;
    }
  }

  Instrument& named(Part& part, const Element& element) const {
    const std::string_view id = attribute(element, "id");
    const auto at = std::ranges::find(part.instruments, id, &Instrument::id);
    if (at != part.instruments.end()) return *at;
    if (part.instruments.size() == kMaxInstruments)
      refuse(name_, element, fmt::format("more than {} instruments in a part", kMaxInstruments));
    return part.instruments.emplace_back(Instrument{std::string(id)});
  }

  const std::string& name_;
  std::map<std::string, const Element*, std::less<>> parts_;  // the first of each name
};

// MuseScore before version 4 wrote <cue/> for whatever was drawn small.
bool cue_means_small(const Element& root) {
  const Element* identification = root.FirstChildElement("identification");
  const Element* encoding =
      identification ? identification->FirstChildElement("encoding") : nullptr;
  if (!encoding) return false;
  constexpr std::string_view kName = "MuseScore ";
  for (const Element& child : Children(*encoding)) {
    const std::string_view text = text_of(&child);
    if (is(child, "software") && text.starts_with(kName) && text.size() > kName.size() + 1)
      return text[kName.size()] >= '0' && text[kName.size()] < '4' && text[kName.size() + 1] == '.';
  }
  return false;
}

// See the head of musicxml.h.
void measure_lengths(Piece& piece, Notices& found) {
  const int64_t short_note = piece.units;  // in 16ths of itself: a 64th note
  std::vector<int64_t> contents(piece.signs.size()), signatures(piece.signs.size());
  for (const Part& part : piece.parts) {
    for (const Measure& measure : part.measures) {
      contents[measure.index] = std::max(contents[measure.index], measure.length);
      signatures[measure.index] = std::max(signatures[measure.index], measure.time_signature);
    }
  }
  for (size_t m = 0; m < piece.signs.size(); ++m) {
    const int64_t content = contents[m], signature = signatures[m];
    const int64_t apart = content > signature ? content - signature : signature - content;
    const bool mended =
        apart != 0 && signature > 0 && 16 * content % short_note != 0 && 4 * apart < piece.units;
    if (mended) {
      const Quarters by(apart, piece.units);
      found.add(
          piece.signs[m].line,
          fmt::format("the measure is {}/{} of a quarter note too {}: its time signature holds",
                      by.above(), by.below(), content > signature ? "long" : "short"));
    }
    piece.lengths.push_back(mended || content == 0 ? signature : content);
  }
}

Piece make_piece(const Element& root, const std::string& name, Notices& found) {
  const bool by_time = is(root, "score-timewise");
  if (!by_time && !is(root, "score-partwise"))
    fail(name, root,
         fmt::format("not MusicXML: it begins with <{}>",
                     std::string_view(root.Name()).substr(0, 40)));
  const ScoreElements elements = by_time ? timewise(root, name) : partwise(root, name);
  if (elements.parts.empty()) fail(name, root, "no part in the score");

  UnitFinder units(name, found);
  for (const PartElements& part : elements.parts) {
    for (const MeasureElement& measure : part.measures) units.look(*measure.element);
  }
  Piece piece;
  piece.units = units.units();
  piece.signs.resize(elements.measures);
  const Context context{name, found, piece.units, cue_means_small(root)};
  const PartList list(root, name);
  size_t instruments = 0;
  for (const PartElements& part : elements.parts) {
    Part made = list.make(part.id);
    instruments += made.instruments.size();
    if (instruments > kMaxInstrumentsInAll)
      refuse(name, root, fmt::format("more than {} instruments", kMaxInstrumentsInAll));
    PartReader reader(context, made);
    for (const auto& [index, element] : part.measures) {
      Signs& signs = piece.signs[index];
      if (signs.line == 0) signs.line = element->GetLineNum();
      made.measures.push_back(reader.read(*element, signs));
      made.measures.back().index = index;
    }
    piece.parts.push_back(std::move(made));
  }
  measure_lengths(piece, found);
  return piece;
}

}  // namespace

Piece read_piece(const std::string& text, const std::string& name, Notices& found) {
  const auto document = parse_xml(text, name);
  return make_piece(*document->RootElement(), name, found);
}

}  // namespace etude::midi::musicxml
