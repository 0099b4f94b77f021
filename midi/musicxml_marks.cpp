#include <algorithm>
#include <array>
#include <cmath>

#include "midi/musicxml_measure.h"

namespace etude::midi::musicxml {
namespace {

struct Named {
  std::string_view name;
  Dynamics dynamics;
};

constexpr int kPiano = 49, kForte = 96, kAccent = 112;

constexpr std::array kMarks = {
    Named{"pppppp", {8, 0}},
    Named{"ppppp", {8, 0}},
    Named{"pppp", {8, 0}},
    Named{"ppp", {16, 0}},
    Named{"pp", {33, 0}},
    Named{"p", {kPiano, 0}},
    Named{"mp", {64, 0}},
    Named{"mf", {80, 0}},
    Named{"f", {kForte, 0}},
    Named{"ff", {112, 0}},
    Named{"fff", {126, 0}},
    Named{"ffff", {126, 0}},
    Named{"fffff", {126, 0}},
    Named{"ffffff", {126, 0}},
    Named{"n", {1, 0}},
    Named{"sf", {kAccent, -1}},
    Named{"sfz", {kAccent, -1}},
    Named{"fz", {kAccent, -1}},
    Named{"rf", {kAccent, -1}},
    Named{"rfz", {kAccent, -1}},
    Named{"sff", {126, -1}},
    Named{"sffz", {126, -1}},
    Named{"sfzp", {kAccent, kPiano}},
    Named{"fp", {kForte, kPiano}},
    Named{"sfp", {kAccent, kPiano}},
    Named{"sfpp", {kAccent, 33}},
    Named{"pf", {kPiano, kForte}},
};

struct Beat {
  std::string_view name;
  double quarters;
};

constexpr std::array kBeats = {
    Beat{"maxima", 32},       Beat{"long", 16},          Beat{"breve", 8},
    Beat{"whole", 4},         Beat{"half", 2},           Beat{"quarter", 1},
    Beat{"eighth", 0.5},      Beat{"16th", 0.25},        Beat{"32nd", 0.125},
    Beat{"64th", 1.0 / 16},   Beat{"128th", 1.0 / 32},   Beat{"256th", 1.0 / 64},
    Beat{"512th", 1.0 / 128}, Beat{"1024th", 1.0 / 256},
};

constexpr int kMaxTempo = (1 << 24) - 1;  // three bytes

// "ca. 120" is 120.
std::optional<Decimal> first_number(std::string_view text) {
  const size_t from = text.find_first_of("0123456789");
  if (from == std::string_view::npos) return std::nullopt;
  text.remove_prefix(from);
  return to_decimal(text.substr(0, text.find_first_not_of("0123456789.")));
}

}  // namespace

std::optional<Dynamics> dynamics_of(const Element& dynamics) {
  for (const Element& child : Children(dynamics)) {
    const std::string_view name =
        is(child, "other-dynamics") ? text_of(&child) : std::string_view(child.Name());
    const auto mark = std::ranges::find(kMarks, name, &Named::name);
    if (mark != kMarks.end()) return mark->dynamics;
  }
  return std::nullopt;
}

int velocity_of_percent(double percent) {
  return static_cast<int>(std::clamp(std::round(percent * 0.9), 1.0, 127.0));
}

std::optional<int> tempo_of_bpm(double quarters_per_minute) {
  if (!(quarters_per_minute > 0)) return std::nullopt;
  const double tempo = std::round(60e6 / quarters_per_minute);
  if (tempo < 1 || tempo > kMaxTempo) return std::nullopt;
  return static_cast<int>(tempo);
}

std::optional<int> tempo_of_metronome(const Element& metronome) {
  const auto number = first_number(child_text(metronome, "per-minute"));
  const auto beat = std::ranges::find(kBeats, child_text(metronome, "beat-unit"), &Beat::name);
  if (!number || beat == kBeats.end()) return std::nullopt;
  double quarters = beat->quarters, dot = beat->quarters;
  for (const Element& child : Children(metronome)) {
    if (is(child, "beat-unit-dot")) quarters += dot /= 2;
  }
  return tempo_of_bpm(number->real() * quarters);
}

}  // namespace etude::midi::musicxml
