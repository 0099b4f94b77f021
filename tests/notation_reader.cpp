#include "tests/notation_reader.h"

#include <doctest/doctest.h>
#include <tinyxml2.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <tuple>

namespace etude::tests {
namespace {

class NotationReader {
 public:
  explicit NotationReader(const std::string& text) {
    REQUIRE(document_.Parse(text.data(), text.size()) == tinyxml2::XML_SUCCESS);
  }

  ReadNotation read() {
    const auto* score = document_.FirstChildElement("score-partwise");
    REQUIRE(score);
    int part = 0;
    for (const auto* e = score->FirstChildElement("part"); e; e = e->NextSiblingElement("part"))
      read_part(*e, part++);
    std::ranges::sort(read_.notes);
    return read_;
  }

 private:
  using Element = tinyxml2::XMLElement;

  // Millions of times: a CHECK each would be most of the test.
  static void expect(bool holds, const char* otherwise) {
    if (!holds) FAIL_CHECK(otherwise);
  }
  static int number(const Element& in, const char* name, int otherwise = 0) {
    const auto* child = in.FirstChildElement(name);
    return child ? child->IntText() : otherwise;
  }
  static std::string text(const Element& in, const char* name) {
    const auto* child = in.FirstChildElement(name);
    return child && child->GetText() ? child->GetText() : "";
  }
  static int count(const Element& in, const char* name) {
    int n = 0;
    for (const auto* e = in.FirstChildElement(name); e; e = e->NextSiblingElement(name)) ++n;
    return n;
  }

  void read_part(const Element& element, int part) {
    part_ = part;
    bar_ = 0;
    std::vector<int64_t> bars;
    for (const auto* m = element.FirstChildElement(); m; m = m->NextSiblingElement()) {
      REQUIRE(std::string_view(m->Name()) == "measure");
      bars.push_back(bar_);
      measure(*m);
    }
    bars.push_back(bar_);
    expect(open_.empty(), "ties that lead nowhere");
    expect(triplets_.empty(), "a triplet that does not end");
    if (part == 0) read_.bars = bars;
    expect(bars == read_.bars, "bars of one part and the next");
  }

  void measure(const Element& element) {
    at_ = 0;
    int64_t furthest = 0;
    filled_.clear();
    for (const auto* e = element.FirstChildElement(); e; e = e->NextSiblingElement()) {
      const std::string_view name = e->Name();
      if (name == "attributes") attributes(*e);
      if (name == "forward") at_ += number(*e, "duration");
      if (name == "backup") at_ -= number(*e, "duration");
      if (name == "direction") direction(*e);
      if (name == "note") note(*e);
      expect(at_ >= 0, "before the bar");
      furthest = std::max(furthest, at_);
    }
    expect(furthest <= bar_length_, "beyond the bar");  // shorter where a change of meter cuts it
    for (int staff = 0; staff < staves_; ++staff) {
      // The first voice of each staff has a note or a rest everywhere.
      expect(filled_[4 * staff + 1] == furthest, "a first voice that does not fill the bar");
    }
    bar_ += furthest;
  }

  void attributes(const Element& element) {
    if (bar_ == 0) expect(number(element, "divisions") == 48, "divisions");
    if (bar_ == 0) {
      staves_ = number(element, "staves", 1);
      octaves_.clear();
      for (const auto* e = element.FirstChildElement("transpose"); e;
           e = e->NextSiblingElement("transpose"))
        octaves_[e->IntAttribute("number", 1)] = number(*e, "octave-change");
    }
    if (const auto* time = element.FirstChildElement("time"))
      bar_length_ = int64_t{192} * number(*time, "beats") / number(*time, "beat-type");
  }

  void direction(const Element& element) {
    if (const auto* sound = element.FirstChildElement("sound"))
      read_.tempi.emplace_back(bar_ + at_, sound->DoubleAttribute("tempo"));
    const auto* type = element.FirstChildElement("direction-type");
    if (const auto* pedal = type->FirstChildElement("pedal"))
      read_.pedal.emplace_back(bar_ + at_, pedal->Attribute("type"));
  }

  void note(const Element& element) {
    in_order(element);
    const int voice = number(element, "voice"), staff = number(element, "staff", 1);
    const bool chord = element.FirstChildElement("chord");
    const int64_t length = number(element, "duration");
    expect(length > 0, "a note without length");
    read_.voices = std::max(read_.voices, voice);
    expect((voice - 1) / 4 == staff - 1, "a voice of another staff");
    if (chord) {
      expect(length == chord_length_, "a chord of different lengths");
      at_ -= length;
    }
    const int64_t start = at_;
    at_ += length;
    if (!chord) {
      expect(start >= filled_[voice],
             "notes beside one another in a voice");  // nothing in a voice sounds beside it
      if (voice == 4 * (staff - 1) + 1) expect(start == filled_[voice], "a gap in a first voice");
      filled_[voice] = at_;
      chord_length_ = length;
      check_length(element, length);
      triplet(element, voice, start, at_);
    }
    const auto* rest = element.FirstChildElement("rest");
    if (part_ == 0 && !chord) tell(element, voice, rest);
    if (!rest) pitched(element, staff, bar_ + start, bar_ + at_);
  }

  void tell(const Element& element, int voice, const Element* rest) {
    read_.symbols.resize(std::max(read_.symbols.size(), static_cast<size_t>(voice)));
    std::string symbol = rest ? "r:" : "";
    symbol += rest && rest->Attribute("measure") ? "bar" : text(element, "type");
    for (int i = count(element, "dot"); i > 0; --i) symbol += '.';
    if (element.FirstChildElement("time-modification")) symbol += "/3";
    read_.symbols[static_cast<size_t>(voice - 1)].push_back(symbol);
  }

  // As the schema has it.
  static void in_order(const Element& element) {
    constexpr std::string_view kOrder[] = {"chord",    "pitch", "unpitched",  "rest",
                                           "duration", "tie",   "instrument", "voice",
                                           "type",     "dot",   "accidental", "time-modification",
                                           "notehead", "staff", "notations"};
    const auto* last = std::begin(kOrder);
    for (const auto* e = element.FirstChildElement(); e; e = e->NextSiblingElement()) {
      const auto* place = std::ranges::find(kOrder, e->Name());
      expect(place != std::end(kOrder), "an unknown element of a note");
      expect(place >= last, "the order of the elements of a note");
      last = place;
    }
  }

  // The value written is the duration.
  void check_length(const Element& element, int64_t length) const {
    static const std::map<std::string, double> quarters = {
        {"128th", 1.0 / 32}, {"64th", 1.0 / 16}, {"32nd", 0.125}, {"16th", 0.25}, {"eighth", 0.5},
        {"quarter", 1},      {"half", 2},        {"whole", 4},    {"breve", 8}};
    const std::string type = text(element, "type");
    if (type.empty()) {
      const auto* rest = element.FirstChildElement("rest");
      REQUIRE(rest);
      expect(std::string_view(rest->Attribute("measure")) == "yes", "a rest of the bar");
      return;
    }
    const auto value = quarters.find(type);
    if (value == quarters.end()) FAIL("no note value: " << type);
    double ticks = value->second * 48;
    if (count(element, "dot") == 1) ticks *= 1.5;
    if (element.FirstChildElement("time-modification")) ticks *= 2.0 / 3;
    expect(std::abs(ticks - static_cast<double>(length)) < 1e-9,
           "a value that is not the duration");
  }

  // Triplets begin, are filled without a gap, and end.
  void triplet(const Element& element, int voice, int64_t start, int64_t end) {
    const auto* modification = element.FirstChildElement("time-modification");
    const auto* notations = element.FirstChildElement("notations");
    const auto* tuplet = notations ? notations->FirstChildElement("tuplet") : nullptr;
    const std::string edge = tuplet ? tuplet->Attribute("type") : "";
    if (edge == "start") {
      expect(!triplets_.contains(voice), "a triplet in a triplet");
      triplets_[voice] = start;
    }
    expect(triplets_.contains(voice) == (modification != nullptr),
           "a note of a triplet outside of one, or another within");
    if (!modification) return;
    expect(triplets_[voice] == start, "a gap in a triplet");
    triplets_[voice] = end;
    if (edge == "stop") triplets_.erase(voice);
  }

  void pitched(const Element& element, int staff, int64_t start, int64_t end) {
    const int pitch = pitch_of(element, staff);
    bool from = false, to = false;
    for (const auto* tie = element.FirstChildElement("tie"); tie;
         tie = tie->NextSiblingElement("tie"))
      (std::string_view(tie->Attribute("type")) == "stop" ? from : to) = true;
    const auto* notations = element.FirstChildElement("notations");
    expect((notations ? count(*notations, "tied") : 0) == from + to, "tie and tied");
    read_.accidentals += count(element, "accidental");
    if (from) expect(!element.FirstChildElement("accidental"), "an accidental on a tied note");
    ReadNote note{part_, staff, start, end, pitch, 0};
    const auto key = std::tuple(part_, staff, number(element, "voice"), pitch);
    if (from) {
      const auto open = open_.find(key);
      if (open == open_.end()) FAIL("a tie from nowhere");
      note = open->second;
      open_.erase(open);
      expect(note.end == start, "a tie over a gap");
      note.end = end;
    } else {
      note.velocity = static_cast<int>(std::lround(element.DoubleAttribute("dynamics") * 0.9));
    }
    if (to) {
      expect(!open_.contains(key), "a tie that begins twice");
      open_[key] = note;
    } else {
      read_.notes.push_back(note);
    }
  }

  int pitch_of(const Element& element, int staff) {
    if (const auto* pitch = element.FirstChildElement("pitch")) {
      const auto step = std::string_view("C D EF G A B").find(text(*pitch, "step"));
      const int octave = number(*pitch, "octave");
      expect(octave >= 0 && octave <= 9, "an octave that MusicXML does not have");
      return 12 * (octave + octaves_[staff] + 1) + static_cast<int>(step) + number(*pitch, "alter");
    }
    // "P1-I37": key 36
    const auto* instrument = element.FirstChildElement("instrument");
    REQUIRE(instrument);
    const std::string id = instrument->Attribute("id");
    return std::stoi(id.substr(id.find("-I") + 2)) - 1;
  }

  tinyxml2::XMLDocument document_;
  ReadNotation read_;
  int part_ = 0, staves_ = 1;
  std::map<int, int> octaves_;  // by staff: by how many what is written there sounds higher
  int64_t bar_ = 0, bar_length_ = 192, at_ = 0, chord_length_ = 0;
  std::map<int, int64_t> filled_;    // by voice: how far the bar is
  std::map<int, int64_t> triplets_;  // by voice: how far the open one is
  std::map<std::tuple<int, int, int, int>, ReadNote>
      open_;  // ties, by part, staff, voice and pitch
};

}  // namespace

ReadNotation read_notation(const std::string& text) { return NotationReader(text).read(); }

}  // namespace etude::tests
