#include "midi/tokens.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <stdexcept>

#include "midi/sha256.h"

namespace etude::midi {

std::string to_token(PitchSet pitches) {
  if (pitches.empty()) return std::string(kSilenceToken);
  std::string token;
  pitches.each([&](int pitch) {
    fmt::format_to(std::back_inserter(token), "{}{}", token.empty() ? "" : ",", pitch);
  });
  return token;
}

PitchSet parse_token(std::string_view token) {
  if (token == kSilenceToken) return {};
  const auto fail = [&](const char* why) {
    throw std::invalid_argument(fmt::format("token \"{}\": {}", token, why));
  };
  PitchSet pitches;
  int last = -1;
  const char* at = token.data();
  const char* const end = at + token.size();
  while (true) {
    int pitch = 0;
    const auto [stop, fault] = std::from_chars(at, end, pitch);
    if (fault != std::errc{} || pitch < 0 || pitch > 127) fail("a pitch from 0 to 127 is wanted");
    if (pitch <= last) fail("pitches must ascend");
    pitches.set(pitch);
    last = pitch;
    if (stop == end) break;
    if (*stop != ',') fail("pitches are joined by commas");
    at = stop + 1;
  }
  if (to_token(pitches) != token) fail("not in its shortest form");
  return pitches;
}

Vocabulary::Vocabulary(std::span<const std::string> tokens) {
  const auto fail = [](size_t index, const std::string& why) {
    throw std::invalid_argument(fmt::format("vocabulary, index {}: {}", index, why));
  };
  if (tokens.empty() || tokens.back() != kSilenceToken) fail(tokens.size(), "\"e\" must be last");
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    PitchSet chord;
    try {
      chord = parse_token(tokens[i]);
    } catch (const std::invalid_argument& error) {
      fail(i + 1, error.what());
    }
    if (chord.empty()) fail(i + 1, "\"e\" must be last");
    if (add(chord) != static_cast<int32_t>(i + 1)) {
      fail(i + 1, fmt::format("token \"{}\" comes twice", tokens[i]));
    }
  }
}

int32_t Vocabulary::add(PitchSet pitches) {
  if (pitches.empty()) return 0;
  const auto next = static_cast<int32_t>(chords_.size()) + 1;
  const auto [place, is_new] = index_.try_emplace(pitches, next);
  if (is_new) chords_.push_back(pitches);
  return place->second;
}

int32_t Vocabulary::find(PitchSet pitches) const {
  if (pitches.empty()) return silence();
  const auto place = index_.find(pitches);
  return place == index_.end() ? 0 : place->second;
}

PitchSet Vocabulary::pitches(int32_t index) const {
  if (index < 1 || index > size()) {
    throw std::out_of_range(fmt::format("token index {} of a vocabulary of {}", index, size()));
  }
  return index == silence() ? PitchSet{} : chords_[static_cast<size_t>(index) - 1];
}

std::string Vocabulary::token(int32_t index) const { return to_token(pitches(index)); }

std::vector<std::string> Vocabulary::tokens() const {
  std::vector<std::string> all;
  all.reserve(chords_.size() + 1);
  for (int32_t i = 1; i <= size(); ++i) all.push_back(token(i));
  return all;
}

std::string Vocabulary::sha256() const {
  Sha256 hash;
  for (int32_t i = 1; i <= size(); ++i) hash.add(token(i) + '\n');
  return hash.hex();
}

}  // namespace etude::midi
