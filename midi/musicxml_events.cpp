#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "midi/error.h"
#include "midi/musicxml.h"
#include "midi/musicxml_model.h"
#include "midi/smf.h"

namespace etude::midi::musicxml {
namespace {

__extension__ using Wide = __int128;

constexpr int kMaxTicksPerQuarter = 32767;
constexpr int kRoundedTicksPerQuarter = 30240;  // 2^5 3^3 5 7
constexpr size_t kMaxOpenTies = 512;            // in a part at once
constexpr int kDrums = 9;
constexpr int kDefaultTempo = 500'000;  // microseconds a quarter, before the first mark

// What holds on a track from a place in the written measures on, and what has been said of it last.
struct Line {
  struct Change {
    size_t measure;
    int64_t at;
    int a, b;
  };
  MarkKind kind;
  size_t track = 0;
  int channel = 0;  // of a program
  std::vector<Change> changes = {};
  std::optional<std::pair<int, int>> said = {};
};

struct Sounding {
  int64_t start, end;  // ticks
  int channel, pitch, velocity;
};

// A note that a tie may continue. `end` in units, from the piece's start, rounded down.
struct OpenTie {
  int64_t end;
  int pitch, voice, staff;
  size_t track, index;  // in sounding_
};

constexpr size_t kTempi = 0, kTimes = 1;  // the lines that every piece has

// What is told once, with its number and the first line.
struct Tally {
  int64_t count = 0;
  int first_line = 0;
  void add(int line) {
    if (count++ == 0) first_line = line;
  }
};

// On one tick: signatures and tempi, note-offs, programs (instrument.h takes the one at the
// note-off), note-ons.
int rank(const Event& event) {
  if (event.kind == EventKind::meta) return 0;
  if (event.is_note_off()) return 1;
  return event.kind == EventKind::program ? 2 : 3;
}

class Writer {
 public:
  Writer(const Piece& piece, Score& score, Notices& found)
      : piece_(piece), score_(score), found_(found), name_(score.name) {
    for (const Part& part : piece.parts) {
      first_track_.push_back(tracks_);
      tracks_ += static_cast<size_t>(part.staves);
    }
  }

  void write(const std::vector<size_t>& order) {
    if (tracks_ > kMaxTracks || order.size() > kMaxEvents / tracks_) {
      throw LimitError(name_, fmt::format("line 1: {} measures in {} staves are more than are read",
                                          order.size(), tracks_));
    }
    score_.tracks.resize(tracks_);
    score_.tracks_declared = static_cast<int>(tracks_);
    sounding_.resize(tracks_);
    open_.resize(piece_.parts.size());
    choose_ticks();
    assign_channels();
    collect_lines();
    if (order.size() > kMaxEvents / std::max<size_t>(lines_.size() - 2, 1)) {
      throw LimitError(
          name_, fmt::format("line 1: {} measures with keys and programs of {} staves are more "
                             "than are read",
                             order.size(), tracks_));
    }
    name_tracks();
    play(order);
    for (size_t track = 0; track < tracks_; ++track) finish(track);
    tell(lone_stops_, "ties end without a start: struck");
    tell(lone_starts_, "ties begin without a stop: continued by the next note");
  }

 private:
  void tell(const Tally& tally, const char* what) {
    if (tally.count > 0)
      found_.add(tally.first_line, fmt::format("{} {} (the first one here)", tally.count, what));
  }

  void choose_ticks() {
    const int64_t units = piece_.units;
    int64_t parts = 1;  // of a unit
    const auto need = [&](const Moment& moment) {
      const int64_t den = moment.den / std::gcd(moment.num, moment.den);
      if (parts <= kMaxTicksPerQuarter / units) parts = std::lcm(parts, den);
    };
    for (const Part& part : piece_.parts) {
      for (const Measure& measure : part.measures) {
        for (const Note& note : measure.notes) {
          need(note.start);
          need(note.end);
        }
      }
    }
    if (units > kMaxTicksPerQuarter) {
      ticks_ = kRoundedTicksPerQuarter;
      found_.add(
          1, fmt::format("positions are {} parts of a quarter note, rounded to {}", units, ticks_));
    } else if (parts > kMaxTicksPerQuarter / units) {
      ticks_ = units * (kMaxTicksPerQuarter / units);
      found_.add(1, fmt::format("grace notes rounded to {} ticks a quarter note", ticks_));
    } else {
      ticks_ = units * parts;
    }
    score_.division.ticks_per_quarter = static_cast<int>(ticks_);
  }

  // The nearest tick to start + moment.
  int64_t tick(int64_t start, const Moment& moment) const {
    const Wide parts = Wide{start + moment.unit} * moment.den + moment.num;
    const Wide whole = Wide{piece_.units} * moment.den;
    return static_cast<int64_t>((2 * parts * ticks_ + whole) / (2 * whole));
  }

  void assign_channels() {
    bool taken[16] = {};
    taken[kDrums] = true;
    for (const Part& part : piece_.parts) {
      for (const Instrument& instrument : part.instruments)
        if (instrument.channel >= 0) taken[instrument.channel] = true;
    }
    int next = 0;
    for (const Part& part : piece_.parts) {
      int own = -1;  // of this part's instruments that have none
      auto& channels = channels_.emplace_back();
      for (const Instrument& instrument : part.instruments) {
        if (instrument.channel < 0 && own < 0)
          own = part.percussion ? kDrums : free_channel(taken, next);
        channels.push_back(instrument.channel < 0 ? own : instrument.channel);
      }
    }
  }

  // Beyond 15 parts channels are shared.
  int free_channel(bool (&taken)[16], int& next) {
    for (int channel = 0; channel < 16; ++channel) {
      if (!taken[channel]) {
        taken[channel] = true;
        return channel;
      }
    }
    if (next == 0) found_.add(1, "more instruments than MIDI channels: channels are shared");
    const int channel = next % 15;
    ++next;
    return channel < kDrums ? channel : channel + 1;
  }

  void collect_lines() {
    lines_.push_back({MarkKind::tempo});
    lines_.push_back({MarkKind::time});
    for (size_t p = 0; p < piece_.parts.size(); ++p) {
      collect_keys(p);
      collect_programs(p);
      const bool time_known = !lines_[kTimes].changes.empty();
      each_mark(piece_.parts[p], [&](size_t measure, const Mark& mark) {
        if (mark.kind == MarkKind::tempo)
          lines_[kTempi].changes.push_back({measure, mark.at, mark.a, 0});
        if (mark.kind == MarkKind::time && !time_known)
          lines_[kTimes].changes.push_back({measure, mark.at, mark.a, mark.b});
      });
    }
    std::ranges::stable_sort(lines_[kTempi].changes, {}, [](const Line::Change& change) {
      return std::pair(change.measure, change.at);
    });
  }

  template <class Visit>
  static void each_mark(const Part& part, Visit visit) {
    for (const Measure& measure : part.measures) {
      for (const Mark& mark : measure.marks) visit(measure.index, mark);
    }
  }

  void collect_keys(size_t p) {
    for (int staff = 0; staff < piece_.parts[p].staves; ++staff) {
      Line line{MarkKind::key, first_track_[p] + static_cast<size_t>(staff)};
      each_mark(piece_.parts[p], [&](size_t measure, const Mark& mark) {
        if (mark.kind == MarkKind::key && (mark.staff < 0 || mark.staff == staff))
          line.changes.push_back({measure, mark.at, mark.a, mark.b});
      });
      if (!line.changes.empty()) add_line(std::move(line));
    }
  }

  // The changes of a part are there once for each of its staves.
  void add_line(Line line) {
    changes_ += line.changes.size();
    if (changes_ > kMaxEvents) {
      throw LimitError(name_,
                       fmt::format("line {}: more than {} keys and programs are not read",
                                   piece_.signs[line.changes.back().measure].line, kMaxEvents));
    }
    lines_.push_back(std::move(line));
  }

  // In each track of the part: instrument.h takes a track's programs alone.
  void collect_programs(size_t p) {
    const Part& part = piece_.parts[p];
    for (size_t i = 0; i < part.instruments.size(); ++i) {
      const auto& first = channels_[p].begin();
      const int channel = channels_[p][i];
      if (std::find(first, first + static_cast<std::ptrdiff_t>(i), channel) !=
          first + static_cast<std::ptrdiff_t>(i)) {
        continue;  // the first instrument on a channel speaks for it
      }
      Line line{MarkKind::program, first_track_[p], channel};
      if (part.instruments[i].program >= 0)
        line.changes.push_back({0, 0, part.instruments[i].program, 0});
      each_mark(part, [&](size_t measure, const Mark& mark) {
        if (mark.kind == MarkKind::program && channels_[p][static_cast<size_t>(mark.a)] == channel)
          line.changes.push_back({measure, mark.at, mark.b, 0});
      });
      if (line.changes.empty()) continue;
      for (int staff = 0; staff < part.staves; ++staff, ++line.track) add_line(line);
    }
  }

  void name_tracks() {
    for (size_t p = 0; p < piece_.parts.size(); ++p) {
      const Part& part = piece_.parts[p];
      for (int staff = 0; staff < part.staves; ++staff) {
        std::string name = part.name;
        if (part.staves > 1 && !name.empty()) name += fmt::format(", staff {}", staff + 1);
        if (name.empty()) continue;
        add_meta(first_track_[p] + static_cast<size_t>(staff), 0, meta::track_name,
                 {reinterpret_cast<const uint8_t*>(name.data()), name.size()});
      }
    }
  }

  void play(const std::vector<size_t>& order) {
    int64_t start = 0;
    for (size_t k = 0; k < order.size(); ++k) {
      const size_t m = order[k];
      line_ = piece_.signs[m].line;
      const bool jump = k > 0 && m != order[k - 1] + 1;
      for (Line& line : lines_) {
        if (jump) restore(line, m, start);
        say_marks(line, m, start);
      }
      for (size_t p = 0; p < piece_.parts.size(); ++p) {
        for (const Note& note : notes_of(piece_.parts[p], m)) sound(p, note, start);
      }
      start += piece_.lengths[m];
      if (start > kMaxQuarters * piece_.units) {
        throw LimitError(name_, fmt::format("line {}: more than {} quarter notes are not read",
                                            piece_.signs[m].line, kMaxQuarters));
      }
    }
    end_ = std::max(end_, tick(start, {}));
  }

  static std::span<const Note> notes_of(const Part& part, size_t measure) {
    const auto at = std::ranges::lower_bound(part.measures, measure, {}, &Measure::index);
    if (at == part.measures.end() || at->index != measure) return {};
    return at->notes;
  }

  // After a jump: what held where the measure stands in writing.
  void restore(Line& line, size_t measure, int64_t start) {
    const auto after = std::ranges::upper_bound(
        line.changes, std::pair(measure, int64_t{0}), {},
        [](const Line::Change& change) { return std::pair(change.measure, change.at); });
    if (after != line.changes.begin()) {
      say(line, start, 0, std::prev(after)->a, std::prev(after)->b);
    } else if (line.kind == MarkKind::tempo && line.said) {
      say(line, start, 0, kDefaultTempo, 0);
    }
  }

  void say_marks(Line& line, size_t measure, int64_t start) {
    const auto there = std::ranges::equal_range(line.changes, measure, {}, &Line::Change::measure);
    for (const Line::Change& change : there) say(line, start, change.at, change.a, change.b);
  }

  void say(Line& line, int64_t start, int64_t at, int a, int b) {
    if (line.said == std::pair(a, b)) return;
    line.said = {a, b};
    const int64_t when = tick(start, {at});
    const auto byte = [](int value) { return static_cast<uint8_t>(value); };
    switch (line.kind) {
      case MarkKind::tempo:
        return add_meta(line.track, when, meta::set_tempo,
                        {{byte(a >> 16), byte(a >> 8), byte(a)}});
      case MarkKind::time:
        return add_meta(line.track, when, meta::time_signature, {{byte(a), byte(b), 24, 8}});
      case MarkKind::key:
        return add_meta(line.track, when, meta::key_signature, {{byte(a), byte(b)}});
      case MarkKind::program:
        return push(line.track, {.tick = {when},
                                 .kind = EventKind::program,
                                 .channel = byte(line.channel),
                                 .a = byte(a)});
    }
  }

  void sound(size_t p, const Note& note, int64_t start) {
    const int64_t begin_unit = start + note.start.unit + note.start.num / note.start.den;
    const int64_t end_unit = start + note.end.unit + note.end.num / note.end.den;
    const int64_t end = tick(start, note.end);
    end_ = std::max(end_, end);
    auto& open = open_[p];
    std::erase_if(open, [&](const OpenTie& tie) { return tie.end < begin_unit - tolerance(); });
    if (const auto tie = continued(open, note, begin_unit); tie != open.end()) {
      Sounding& sounding = sounding_[tie->track][tie->index];
      sounding.end = std::max(sounding.end, end);
      tie->end = end_unit;
      tie->voice = note.voice;
      if (!note.tie_start) open.erase(tie);
      if (!note.tie_stop) lone_starts_.add(note.line);
      return;
    }
    if (note.tie_stop) lone_stops_.add(note.line);
    const size_t track = first_track_[p] + static_cast<size_t>(note.staff);
    const int64_t begin = tick(start, note.start);
    sounding_[track].push_back({begin, std::max(end, begin + 1),
                                channels_[p][static_cast<size_t>(note.instrument)], note.pitch,
                                note.velocity});
    count(2);
    if (note.tie_start && open.size() < kMaxOpenTies)
      open.push_back(
          {end_unit, note.pitch, note.voice, note.staff, track, sounding_[track].size() - 1});
  }

  // Ties bridge what rounding of durations opens: a 128th note.
  int64_t tolerance() const { return piece_.units / 32; }

  // For a stop: of its voice, else of its staff, else any of its pitch. Some programs leave the
  // stop out: within a voice or a staff the start is enough.
  std::vector<OpenTie>::iterator continued(std::vector<OpenTie>& open, const Note& note,
                                           int64_t begin) const {
    auto best = open.end();
    int best_rank = -1;
    for (auto tie = open.begin(); tie != open.end(); ++tie) {
      if (tie->pitch != note.pitch || std::abs(tie->end - begin) > tolerance()) continue;
      const int likeness = 2 * (tie->voice == note.voice) + (tie->staff == note.staff);
      if (!note.tie_stop && (likeness == 0 || tie->end != begin)) continue;
      if (likeness > best_rank) {
        best = tie;
        best_rank = likeness;
      }
    }
    return best;
  }

  // Notes of a track to note-ons and note-offs, one at a time on each channel and pitch.
  void finish(size_t track) {
    auto& notes = sounding_[track];
    std::ranges::stable_sort(notes, {}, &Sounding::start);
    std::vector<size_t> last(16 * 128, notes.size());
    for (size_t i = 0; i < notes.size(); ++i) {
      Sounding& note = notes[i];
      size_t& before = last[static_cast<size_t>(note.channel * 128 + note.pitch)];
      if (before < notes.size() && notes[before].start == note.start) {
        notes[before].end = std::max(notes[before].end, note.end);
        notes[before].velocity = std::max(notes[before].velocity, note.velocity);
        note.velocity = 0;  // no note any more
        continue;
      }
      if (before < notes.size() && notes[before].end > note.start) {
        note.end = std::max(note.end, notes[before].end);
        notes[before].end = note.start;
      }
      before = i;
    }
    for (const Sounding& note : notes) {
      if (note.velocity == 0) continue;
      add_note(track, note, note.start, EventKind::note_on, note.velocity);
      add_note(track, note, note.end, EventKind::note_off, 0);
    }
    auto& events = score_.tracks[track].events;
    std::ranges::stable_sort(events, [](const Event& x, const Event& y) {
      return std::pair(x.tick, rank(x)) < std::pair(y.tick, rank(y));
    });
    events.push_back({.tick = std::max(Ticks{end_}, events.empty() ? Ticks{} : events.back().tick),
                      .kind = EventKind::meta,
                      .a = meta::end_of_track});
  }

  void add_note(size_t track, const Sounding& note, int64_t when, EventKind kind, int velocity) {
    score_.tracks[track].events.push_back({.tick = {when},
                                           .kind = kind,
                                           .channel = static_cast<uint8_t>(note.channel),
                                           .a = static_cast<uint8_t>(note.pitch),
                                           .b = static_cast<uint8_t>(velocity)});
  }

  void add_meta(size_t track, int64_t when, uint8_t type, std::span<const uint8_t> bytes) {
    count(1);
    score_.add(track, {.tick = {when}, .kind = EventKind::meta, .a = type}, bytes);
  }

  void push(size_t track, const Event& event) {
    count(1);
    score_.tracks[track].events.push_back(event);
  }

  void count(size_t events) {
    events_ += events;
    if (events_ > kMaxEvents) {
      throw LimitError(name_,
                       fmt::format("line {}: more than {} events with repeats written out are not "
                                   "read",
                                   line_, kMaxEvents));
    }
  }

  const Piece& piece_;
  Score& score_;
  Notices& found_;
  const std::string& name_;  // of the file
  size_t tracks_ = 0;
  std::vector<size_t> first_track_;              // by part
  std::vector<std::vector<int>> channels_;       // by part and instrument
  std::vector<Line> lines_;                      // tempo, time, then keys and programs
  std::vector<std::vector<Sounding>> sounding_;  // by track
  std::vector<std::vector<OpenTie>> open_;       // by part
  int64_t ticks_ = 0;                            // a quarter note
  int64_t end_ = 0;                              // tick
  size_t events_ = 0;
  size_t changes_ = 0;  // in lines_, of keys and programs
  int line_ = 1;        // of the measure being played
  Tally lone_stops_, lone_starts_;
};

}  // namespace

void write_events(const Piece& piece, const std::vector<size_t>& order, Score& score,
                  Notices& found) {
  Writer(piece, score, found).write(order);
}

}  // namespace etude::midi::musicxml
