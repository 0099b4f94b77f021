#include "midi/voices.h"

#include <algorithm>

namespace etude::midi {
namespace {

constexpr int kMiddleC = 60, kLowestSplit = 55, kHighestSplit = 64;
constexpr Ticks kForgotten = {4 * kGridTicks};

// What a hand played last: its note next to the other hand.
class Hand {
 public:
  // Where nothing was played for long, it is as far from middle C as the other's would be.
  explicit Hand(int usual) : usual_(usual) {}

  int near(Ticks now) const { return now < until_ ? pitch_ : usual_; }
  void plays(const Note& note) {
    pitch_ = note.pitch;
    until_ = note.end + kForgotten;
  }

 private:
  int usual_, pitch_ = 0;
  Ticks until_;
};

std::vector<std::vector<Note>> divided(const std::vector<Note>& notes) {
  std::vector<std::vector<Note>> hands(2);
  Hand upper(kMiddleC + 12), lower(kMiddleC - 12);
  for (size_t begin = 0, end = 0; begin < notes.size(); begin = end) {
    const Ticks now = notes[begin].start;
    while (end < notes.size() && notes[end].start == now) ++end;
    const int halfway = (upper.near(now) + lower.near(now) + 1) / 2;
    const int split = std::clamp(halfway, kLowestSplit, kHighestSplit);
    // The highest note of a chord comes first: the upper hand's last and the lower hand's first are
    // neighbours.
    bool lower_played = false;
    for (size_t i = begin; i < end; ++i) {
      const bool is_upper = notes[i].pitch >= split;
      hands[is_upper ? 0 : 1].push_back(notes[i]);
      if (is_upper) {
        upper.plays(notes[i]);
      } else if (!lower_played) {
        lower.plays(notes[i]);
        lower_played = true;
      }
    }
  }
  return hands;
}

// Notes by start, the highest first.
std::vector<std::vector<Note>> voices_of(const std::vector<Note>& notes) {
  std::vector<std::vector<Note>> voices;
  const auto voice_for = [&](const Note& note) -> std::vector<Note>& {
    for (auto& voice : voices) {
      const Note& last = voice.back();
      if (last.end <= note.start || (last.start == note.start && last.end == note.end))
        return voice;
    }
    if (voices.size() < kMaxVoices) voices.emplace_back();
    return voices.back();
  };
  for (const Note& note : notes) voice_for(note).push_back(note);
  return voices;
}

bool is_low(const std::vector<Note>& notes, bool otherwise) {
  if (notes.empty()) return otherwise;
  int64_t sum = 0;
  for (const Note& note : notes) sum += note.pitch - kMiddleC;
  return sum < 0;
}

bool fits_octaves(const std::vector<Note>& notes) {
  if (notes.empty()) return true;
  const auto [low, high] = std::ranges::minmax(notes, {}, &Note::pitch);
  return low.pitch >= kLowestWritten || high.pitch <= kHighestRaised;
}

}  // namespace

std::vector<Staff> staves_of(const GridPart& part) {
  const bool divide = part.two_staves && part.hands.size() == 1;
  const auto hands = divide ? divided(part.hands[0]) : part.hands;
  std::vector<Staff> staves;
  const auto add = [&](const std::vector<Note>& notes) {
    staves.push_back({is_low(notes, !staves.empty()), voices_of(notes)});
  };
  for (const auto& hand : hands) {
    if (part.channel == 9 || fits_octaves(hand)) {
      add(hand);
    } else {
      for (const auto& half : divided(hand)) add(half);
    }
  }
  return staves;
}

}  // namespace etude::midi
