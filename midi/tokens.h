#pragma once

// Chord tokens: a column's sounding pitches, ascending, joined by commas ("60,64,67"), numbered
// from 1 in order of first appearance; the silence "e" comes last. Index 0 has no token: it stands
// for tokens that a vocabulary lacks.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "midi/pitch_set.h"

namespace etude::midi {

class Vocabulary {
 public:
  Vocabulary() = default;  // of "e" alone
  // Tokens in order of index from 1, "e" last, as tokens() gives them. Throws std::invalid_argument
  // naming the index and the fault (not ascending, no pitch, twice, "e" missing or not last).
  explicit Vocabulary(std::span<const std::string> tokens);

  // Only while the vocabulary is being made: the index of a column's pitches, a new one when
  // needed. It moves silence() up; for the empty set nothing is added and 0 returned.
  int32_t add(PitchSet pitches);

  int32_t size() const { return static_cast<int32_t>(chords_.size()) + 1; }  // with "e"
  int32_t classes() const { return size() + 1; }  // what a model's softmax has
  int32_t silence() const { return size(); }      // the index of "e"

  // Index of a column's pitches: silence() for none, 0 for a chord that is not here.
  int32_t find(PitchSet pitches) const;
  // 1 <= index <= size(); empty for silence().
  PitchSet pitches(int32_t index) const;
  std::string token(int32_t index) const;
  std::vector<std::string> tokens() const;  // in order of index, from 1
  // Of the tokens in order, each followed by a newline.
  std::string sha256() const;

 private:
  std::vector<PitchSet> chords_;  // of index 1, 2, ...
  std::unordered_map<PitchSet, int32_t, PitchSetHash> index_;
};

inline constexpr std::string_view kSilenceToken = "e";

// "60,64,67"; "e" for the empty set.
std::string to_token(PitchSet pitches);
// The reverse. Throws std::invalid_argument.
PitchSet parse_token(std::string_view token);

}  // namespace etude::midi
