#include "apps/composer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "engine/error.h"
#include "engine/session.h"
#include "midi/dataset.h"

namespace etude::apps {
namespace {

constexpr int kPitches = 128;

midi::PitchSet only(int pitch) {
  midi::PitchSet set;
  set.set(pitch);
  return set;
}

std::vector<int> nearest(std::vector<int> pitches, int pitch) {
  constexpr size_t kNamed = 5;
  std::stable_sort(pitches.begin(), pitches.end(),
                   [pitch](int a, int b) { return std::abs(a - pitch) < std::abs(b - pitch); });
  pitches.resize(std::min(pitches.size(), kNamed));
  std::sort(pitches.begin(), pitches.end());
  return pitches;
}

}  // namespace

std::vector<int> single_pitches(const midi::Vocabulary& vocabulary) {
  std::vector<int> pitches;
  for (int pitch = 0; pitch < kPitches; ++pitch)
    if (vocabulary.find(only(pitch)) != 0) pitches.push_back(pitch);
  return pitches;
}

TokenSequence start_window(const midi::Vocabulary& vocabulary, int pitch) {
  const int32_t token = vocabulary.find(only(pitch));
  if (token == 0)
    throw Error(fmt::format("pitch {} alone is no token of the vocabulary; the nearest are {}",
                            pitch, fmt::join(nearest(single_pitches(vocabulary), pitch), ", ")));
  TokenSequence window(midi::kWindow, vocabulary.silence());
  window.back() = token;
  return window;
}

std::vector<TokenSequence> compose_tokens(Checkpoint& checkpoint, const Composition& composition,
                                          const kernels::Stream& stream,
                                          const std::function<void(int64_t)>& tell) {
  Model& model = checkpoint.model;
  Session session = make_session(model, Nadam(), 0, stream);
  Sampler sampler(composition.sampler, 1, checkpoint.vocabulary.classes());
  const size_t pieces = composition.windows.size();
  const int64_t window = model.config().window, classes = model.config().classes;
  std::vector<RandomSequence> random;
  for (size_t i = 0; i < pieces; ++i)
    random.emplace_back(composition.seed, static_cast<uint32_t>(i),
                        RandomSequence::kCompositionStep);

  std::vector<TokenSequence> drawn(pieces);
  TokenSequence inputs;
  for (const TokenSequence& start : composition.windows)
    inputs.insert(inputs.end(), start.begin(), start.end());
  for (int64_t n = 1; n <= composition.length; ++n) {
    const auto logits =
        session.logits({static_cast<int64_t>(pieces), window, inputs.data(), nullptr});
    for (size_t i = 0; i < pieces; ++i) {
      const int32_t token = sampler(logits.data() + static_cast<int64_t>(i) * classes, random[i]);
      drawn[i].push_back(token);
      const auto row = inputs.begin() + static_cast<int64_t>(i) * window;
      std::rotate(row, row + 1, row + window);
      *(row + window - 1) = token;
    }
    tell(n);
  }
  return drawn;
}

}  // namespace etude::apps
