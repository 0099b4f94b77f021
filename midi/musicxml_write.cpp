#include "midi/musicxml_write.h"

#include <fmt/format.h>
#include <tinyxml2.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <deque>
#include <set>

#include "midi/bars.h"
#include "midi/error.h"
#include "midi/key.h"
#include "midi/note_values.h"
#include "midi/smf.h"
#include "midi/voices.h"

namespace etude::midi {
namespace {

// tinyxml2's printer, with elements that cannot be left open.
class Xml {
 public:
  class Element {
   public:
    Element(tinyxml2::XMLPrinter& printer, const char* name) : printer_(printer) {
      printer_.OpenElement(name);
    }
    ~Element() { printer_.CloseElement(); }
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;

    template <class Value>
    Element& with(const char* attribute, const Value& value) {
      printer_.PushAttribute(attribute, fmt::format("{}", value).c_str());
      return *this;
    }
    void text(std::string_view text) { printer_.PushText(std::string(text).c_str()); }

   private:
    tinyxml2::XMLPrinter& printer_;
  };

  Element open(const char* name) { return {printer_, name}; }
  void put(const char* name) { open(name); }
  void put(const char* name, std::string_view text) { open(name).text(text); }
  void put(const char* name, std::integral auto number) {
    open(name).text(fmt::format("{}", number));
  }

  void begin(const char* declaration, const char* document_type) {
    printer_.PushDeclaration(declaration);
    printer_.PushUnknown(document_type);
  }
  size_t size() const { return static_cast<size_t>(printer_.CStrSize()); }
  std::string str() const { return printer_.CStr(); }

 private:
  // Four spaces a level would be half of the text.
  class Printer : public tinyxml2::XMLPrinter {
    void PrintSpace(int depth) override {
      for (int i = 0; i < depth; ++i) Write(" ");
    }
  };

  Printer printer_;
};

// Where a drum stands on the staff (after N. Weinberg, Guidelines for Drumset Notation, Percussive
// Notes, June 1994); cymbals are crosses. Others stand on the middle line.
struct DrumPlace {
  int key;
  char step;
  int octave;
  bool cross;
};
constexpr DrumPlace kDrumPlaces[] = {
    {35, 'E', 4, false}, {36, 'F', 4, false}, {37, 'C', 5, true},  {38, 'C', 5, false},
    {40, 'C', 5, false}, {41, 'G', 4, false}, {42, 'G', 5, true},  {43, 'A', 4, false},
    {44, 'D', 4, true},  {45, 'B', 4, false}, {46, 'G', 5, true},  {47, 'D', 5, false},
    {48, 'E', 5, false}, {49, 'A', 5, true},  {50, 'F', 5, false}, {51, 'F', 5, true},
    {53, 'F', 5, true},  {57, 'A', 5, true},  {59, 'F', 5, true}};

DrumPlace drum_place(int key) {
  const auto* place = std::ranges::find(kDrumPlaces, key, &DrumPlace::key);
  return place == std::end(kDrumPlaces) ? DrumPlace{key, 'B', 4, false} : *place;
}

const char* accidental_name(int alter) {
  constexpr const char* kNames[] = {"flat-flat", "flat", "natural", "sharp", "double-sharp"};
  return kNames[alter + 2];
}

// One voice from its beginning on, bar by bar.
class VoiceReader {
 public:
  explicit VoiceReader(const std::vector<Note>& notes) : notes_(notes) {}

  // Those that sound in it, by start. Bars are asked for in order.
  const std::vector<const Note*>& in(const Bar& bar) {
    std::erase_if(sounding_, [&](const Note* note) { return note->end <= bar.start; });
    for (; next_ < notes_.size() && notes_[next_].start < bar.end; ++next_)
      sounding_.push_back(&notes_[next_]);
    return sounding_;
  }

 private:
  const std::vector<Note>& notes_;
  size_t next_ = 0;
  std::vector<const Note*> sounding_;
};

class PartWriter {
 public:
  PartWriter(Xml& xml, const GridScore& music, const std::vector<Bar>& bars, size_t part)
      : xml_(xml),
        music_(music),
        bars_(bars),
        part_(music.parts[part]),
        number_(part + 1),
        drums_(part_.channel == 9),
        staves_(staves_of(part_)) {
    if (part == 0) tempi_ = music.tempi;
    for (const Staff& staff : staves_)
      readers_.emplace_back(staff.voices.begin(), staff.voices.end());
    keys_on_bars();
    raise_low_pitches();
  }

  void list() const {
    auto part = xml_.open("score-part");
    part.with("id", id());
    xml_.put("part-name", part_.name);
    const auto sounds = drums_ ? drum_keys() : std::set<int>{-1};
    for (const int key : sounds) {
      auto instrument = xml_.open("score-instrument");
      instrument.with("id", instrument_id(key));
      xml_.put("instrument-name", key < 0 ? part_.name : fmt::format("Key {}", key));
    }
    for (const int key : sounds) {
      auto sound = xml_.open("midi-instrument");
      sound.with("id", instrument_id(key));
      xml_.put("midi-channel", part_.channel + 1);
      xml_.put("midi-program", part_.program + 1);
      if (key >= 0) xml_.put("midi-unpitched", key + 1);
    }
  }

  void write() {
    auto part = xml_.open("part");
    part.with("id", id());
    for (size_t i = 0; i < bars_.size(); ++i) {
      bar(i);
      if (xml_.size() > kMaxFileBytes)
        throw LimitError(music_.name,
                         fmt::format("as MusicXML it has more than {} bytes", kMaxFileBytes));
    }
  }

 private:
  // --- attributes

  void attributes(size_t index) {
    const Bar& bar = bars_[index];
    const Key key = key_at(bar.start);
    const bool first = index == 0;
    const bool new_key = !drums_ && (first || key != key_at(bars_[index - 1].start));
    const bool new_meter = first || bar.meter != bars_[index - 1].meter;
    if (!new_key && !new_meter) return;
    const auto attributes = xml_.open("attributes");
    if (first) xml_.put("divisions", kGridTicks);
    if (new_key) {
      const auto element = xml_.open("key");
      xml_.put("fifths", key.fifths);
      xml_.put("mode", key.minor ? "minor" : "major");
    }
    if (new_meter) {
      const auto element = xml_.open("time");
      xml_.put("beats", bar.meter.beats);
      xml_.put("beat-type", bar.meter.beat_type);
    }
    if (first) clefs();
  }

  void clefs() {
    if (staves_.size() > 1) xml_.put("staves", staves_.size());
    for (size_t i = 0; i < staves_.size(); ++i) {
      auto clef = xml_.open("clef");
      if (staves_.size() > 1) clef.with("number", i + 1);
      const bool bass = staves_[i].bass_clef;
      xml_.put("sign", drums_ ? "percussion" : bass ? "F" : "G");
      if (!drums_) xml_.put("line", bass ? 4 : 2);
    }
    for (size_t i = 0; i < staves_.size(); ++i) {
      if (raised_[i] == 0) continue;
      auto transpose = xml_.open("transpose");
      if (staves_.size() > 1) transpose.with("number", i + 1);
      xml_.put("diatonic", 0);
      xml_.put("chromatic", 0);
      xml_.put("octave-change", -1);
    }
  }

  void raise_low_pitches() {
    const auto is_low = [](const Note& note) { return note.pitch < kLowestWritten; };
    for (const Staff& staff : staves_) {
      const bool low = std::ranges::any_of(
          staff.voices, [&](const auto& voice) { return std::ranges::any_of(voice, is_low); });
      raised_.push_back(low && !drums_ ? 12 : 0);
    }
  }

  void keys_on_bars() {
    size_t bar = 0;
    for (const KeyChange& change : part_.keys) {
      while (bar < bars_.size() && bars_[bar].end <= change.tick) ++bar;
      if (bar == bars_.size()) break;
      const bool next = change.tick - bars_[bar].start > bars_[bar].end - change.tick;
      const Ticks at = next ? bars_[bar].end : bars_[bar].start;
      if (!keys_.empty() && keys_.back().tick == at) keys_.pop_back();
      keys_.push_back({at, change.key});
    }
  }

  Key key_at(Ticks tick) const {
    return std::prev(std::ranges::upper_bound(keys_, tick, {}, &KeyChange::tick))->key;
  }

  // --- bars

  void bar(size_t index) {
    const Bar& bar = bars_[index];
    auto measure = xml_.open("measure");
    measure.with("number", index + 1);
    attributes(index);
    at_ = bar.start;
    directions(bar.end, index + 1 == bars_.size());
    for (size_t staff = 0; staff < staves_.size(); ++staff) this->staff(bar, staff);
    if (index + 1 == bars_.size()) {
      auto line = xml_.open("barline");
      line.with("location", "right");
      xml_.put("bar-style", "light-heavy");
    }
  }

  void move_to(Ticks tick) {
    if (tick == at_) return;
    const auto move = xml_.open(tick < at_ ? "backup" : "forward");
    xml_.put("duration", std::abs((tick - at_).count));
    at_ = tick;
  }

  void staff(const Bar& bar, size_t staff) {
    std::vector<std::vector<Symbol>> voices;
    for (VoiceReader& reader : readers_[staff]) {
      const auto& notes = reader.in(bar);
      if (notes.empty() && !voices.empty()) {
        voices.emplace_back();
      } else {
        voices.push_back(symbols_of(bar, notes));
      }
    }
    if (voices.empty()) voices.push_back(symbols_of(bar, {}));
    find_accidentals(voices, staff, key_at(bar.start));
    for (size_t voice = 0; voice < voices.size(); ++voice) {
      for (const Symbol& symbol : voices[voice]) {
        const bool silent = symbol.heads.empty();
        if (silent && voice > 0 && symbol.triplet_of.empty()) continue;
        move_to(symbol.start);
        if (silent) note(symbol, nullptr, staff, voice);
        for (const Symbol::Head& head : symbol.heads) note(symbol, &head, staff, voice);
        at_ = symbol.start + symbol.length;
      }
    }
  }

  void find_accidentals(const std::vector<std::vector<Symbol>>& voices, size_t staff, Key key) {
    accidentals_.clear();
    if (drums_) return;
    std::vector<const Symbol*> symbols;
    for (const auto& voice : voices) {
      for (const Symbol& symbol : voice) symbols.push_back(&symbol);
    }
    std::ranges::stable_sort(symbols, {}, &Symbol::start);
    Accidentals accidentals(key);
    for (const Symbol* symbol : symbols) {
      for (const Symbol::Head& head : symbol->heads) {
        if (!head.tied_from && accidentals.needed(spelling(*head.note, staff)))
          accidentals_.insert(head.note);
      }
    }
  }

  // As written. The lowest C is no B sharp of the octave below.
  Spelling spelling(const Note& note, size_t staff) const {
    const int pitch = note.pitch + raised_[staff];
    return spell(pitch, pitch > 12 ? key_at(note.start) : Key{});
  }

  // --- notes

  // `head`: null for a rest.
  void note(const Symbol& symbol, const Symbol::Head* head, size_t staff, size_t voice) {
    auto element = xml_.open("note");
    if (head && !head->tied_from)
      element.with("dynamics", fmt::format("{:.2f}", head->note->velocity * 100 / 90.0));
    const bool first_of_chord = !head || head == symbol.heads.data();
    if (!first_of_chord) xml_.put("chord");
    sound(symbol, head, staff);
    xml_.put("duration", symbol.length.count);
    if (head) ties("tie", *head);
    if (head && drums_) xml_.open("instrument").with("id", instrument_id(head->note->pitch));
    xml_.put("voice", staff * kMaxVoices + voice + 1);
    if (!symbol.type.empty()) xml_.put("type", symbol.type);
    for (int i = 0; i < symbol.dots; ++i) xml_.put("dot");
    if (head && !head->tied_from && accidentals_.contains(head->note))
      xml_.put("accidental", accidental_name(spelling(*head->note, staff).alter));
    if (!symbol.triplet_of.empty()) {
      const auto modification = xml_.open("time-modification");
      xml_.put("actual-notes", 3);
      xml_.put("normal-notes", 2);
      xml_.put("normal-type", symbol.triplet_of);
    }
    if (head && drums_ && drum_place(head->note->pitch).cross) xml_.put("notehead", "x");
    if (staves_.size() > 1) xml_.put("staff", staff + 1);
    notations(symbol, head, first_of_chord);
  }

  void sound(const Symbol& symbol, const Symbol::Head* head, size_t staff) {
    if (!head) {
      auto rest = xml_.open("rest");
      if (symbol.type.empty()) rest.with("measure", "yes");
    } else if (drums_) {
      const DrumPlace place = drum_place(head->note->pitch);
      const auto unpitched = xml_.open("unpitched");
      xml_.put("display-step", std::string_view(&place.step, 1));
      xml_.put("display-octave", place.octave);
    } else {
      const Spelling spelled = spelling(*head->note, staff);
      const auto pitch = xml_.open("pitch");
      xml_.put("step", std::string_view(&spelled.step, 1));
      if (spelled.alter != 0) xml_.put("alter", spelled.alter);
      xml_.put("octave", spelled.octave);
    }
  }

  void ties(const char* element, const Symbol::Head& head) {
    if (head.tied_from) xml_.open(element).with("type", "stop");
    if (head.tied_to) xml_.open(element).with("type", "start");
  }

  void notations(const Symbol& symbol, const Symbol::Head* head, bool first_of_chord) {
    const bool tied = head && (head->tied_from || head->tied_to);
    const bool triplet_edge = first_of_chord && (symbol.triplet_begins || symbol.triplet_ends);
    if (!tied && !triplet_edge) return;
    const auto notations = xml_.open("notations");
    if (tied) ties("tied", *head);
    if (!triplet_edge) return;
    xml_.open("tuplet").with("type", symbol.triplet_begins ? "start" : "stop").with("number", 1);
  }

  // --- directions

  // Tempi and pedal marks before `end`; those on it too in the last bar.
  void directions(Ticks end, bool last) {
    const auto here = [&](Ticks tick) { return last ? tick <= end : tick < end; };
    while (true) {
      const bool tempo = next_tempo_ < tempi_.size() && here(tempi_[next_tempo_].tick);
      const bool pedal = next_pedal_ < part_.pedal.size() && here(part_.pedal[next_pedal_].tick);
      if (!tempo && !pedal) return;
      if (tempo && (!pedal || tempi_[next_tempo_].tick <= part_.pedal[next_pedal_].tick)) {
        this->tempo(tempi_[next_tempo_++]);
      } else {
        this->pedal();
      }
    }
  }

  void tempo(const TempoChange& change) {
    move_to(change.tick);
    const double per_minute = 6e7 / change.tempo;
    auto direction = xml_.open("direction");
    direction.with("placement", "above");
    {
      const auto type = xml_.open("direction-type");
      const auto metronome = xml_.open("metronome");
      xml_.put("beat-unit", "quarter");
      xml_.put("per-minute", fmt::format("{}", std::round(per_minute * 100) / 100));
    }
    const double parts = per_minute < 1e5 ? 1e6 : 1e3;  // twelve digits at most: all are read
    xml_.open("sound").with("tempo", std::round(per_minute * parts) / parts);
  }

  void pedal() {
    const PedalChange change = part_.pedal[next_pedal_++];
    const bool again = !change.down && next_pedal_ < part_.pedal.size() &&
                       part_.pedal[next_pedal_].tick == change.tick;
    next_pedal_ += again;
    move_to(change.tick);
    auto direction = xml_.open("direction");
    direction.with("placement", "below");
    {
      const auto type = xml_.open("direction-type");
      xml_.open("pedal")
          .with("type", again         ? "change"
                        : change.down ? "start"
                                      : "stop")
          .with("line", "yes");
    }
    if (staves_.size() > 1) xml_.put("staff", staves_.size());
  }

  // --- names

  std::string id() const { return fmt::format("P{}", number_); }
  // `key`: of a drum; below 0: the part's one instrument.
  std::string instrument_id(int key) const {
    return fmt::format("P{}-I{}", number_, key < 0 ? 1 : key + 1);
  }
  std::set<int> drum_keys() const {
    std::set<int> keys;
    for (const auto& hand : part_.hands) {
      for (const Note& note : hand) keys.insert(note.pitch);
    }
    return keys;
  }

  Xml& xml_;
  const GridScore& music_;
  const std::vector<Bar>& bars_;
  const GridPart& part_;
  const size_t number_;
  const bool drums_;
  const std::vector<Staff> staves_;
  std::vector<int> raised_;                        // semitones, by staff
  std::vector<std::vector<VoiceReader>> readers_;  // by staff and voice
  std::vector<TempoChange> tempi_;
  std::vector<KeyChange> keys_;  // on barlines
  size_t next_tempo_ = 0, next_pedal_ = 0;
  Ticks at_;
  std::set<const Note*> accidentals_;  // those of the bar that have one
};

}  // namespace

std::string write_musicxml(const GridScore& given) {
  GridScore music = given;
  if (music.parts.empty()) music.parts.push_back({"Piano", 0, 0, true, {{}}, {}, {{}}});
  const auto bars = bars_of(music);
  std::deque<PartWriter> parts;  // which stay where they are
  Xml xml;
  for (size_t i = 0; i < music.parts.size(); ++i) parts.emplace_back(xml, music, bars, i);
  xml.begin(R"(xml version="1.0" encoding="UTF-8")",
            R"(DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" )"
            R"("http://www.musicxml.org/dtds/partwise.dtd")");
  {
    auto score = xml.open("score-partwise");
    score.with("version", "4.0");
    if (!music.title.empty()) {
      const auto work = xml.open("work");
      xml.put("work-title", music.title);
    }
    {
      const auto identification = xml.open("identification");
      const auto encoding = xml.open("encoding");
      xml.put("software", "Etude");
    }
    {
      const auto list = xml.open("part-list");
      for (const PartWriter& part : parts) part.list();
    }
    for (PartWriter& part : parts) part.write();
  }
  return xml.str();
}

}  // namespace etude::midi
