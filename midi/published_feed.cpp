#include "midi/published_feed.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "midi/error.h"
#include "midi/piece_tokens.h"
#include "midi/shuffle.h"

namespace etude::midi {

PublishedFeed::PublishedFeed(const Dataset& dataset, const RollOptions& roll, int song_group,
                             int batch)
    : dataset_(dataset),
      roll_(roll),
      song_group_(static_cast<size_t>(song_group)),
      batch_(static_cast<size_t>(batch)),
      tokens_(dataset.vocabulary.tokens()) {
  for (size_t i = 0; i < tokens_.size(); ++i)
    dictionary_.emplace(tokens_[i], static_cast<int32_t>(i + 1));
}

// The generator is drawn from as epoch_order() does: first for the songs, then for each group.
void PublishedFeed::begin_epoch(uint64_t seed, int epoch) {
  random_.seed(mixed_seed(seed, static_cast<uint64_t>(epoch) + 1));
  songs_.clear();
  for (const Song& song : dataset_.songs) songs_.push_back(&song);
  shuffle(std::span(songs_), random_);
  next_song_ = 0;
  minibatches_ = next_ = 0;
}

void PublishedFeed::read_group() {
  inputs_.clear();
  targets_.clear();
  const size_t end = std::min(next_song_ + song_group_, songs_.size());
  for (; next_song_ < end; ++next_song_)
    add_windows(*songs_[next_song_], texts_of(*songs_[next_song_]));
  order_.resize(targets_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
  shuffle(std::span(order_), random_);
  minibatches_ = static_cast<int64_t>(order_.size() / batch_);
  next_ = 0;
}

PublishedFeed::Texts PublishedFeed::texts_of(const Song& song) const {
  const SoundingColumns sounding = read_sounding_columns(song.path, roll_);
  if (static_cast<int64_t>(sounding.steps.size()) != song.samples + 1)
    throw Error(song.path.string(), "it changed while it was trained on");
  Texts texts(kWindow - 1, std::string(kSilenceToken));
  for (const PitchSet pitches : sounding.steps) texts.push_back(to_token(pitches));
  return texts;
}

void PublishedFeed::add_windows(const Song& song, const Texts& texts) {
  std::vector<std::array<std::string_view, kWindow>> windows;
  std::vector<std::string_view> targets;
  for (size_t i = 0; i + kWindow < texts.size(); ++i) {
    std::copy_n(texts.begin() + static_cast<std::ptrdiff_t>(i), kWindow,
                windows.emplace_back().begin());
    targets.push_back(texts[i + kWindow]);
  }
  for (const auto& window : windows)
    for (const std::string_view text : window) inputs_.push_back(id_of(song, text));
  for (const std::string_view text : targets) targets_.push_back(id_of(song, text));
}

int32_t PublishedFeed::id_of(const Song& song, std::string_view text) const {
  const auto found = dictionary_.find(text);
  if (found == dictionary_.end())
    throw Error(song.path.string(), "it changed while it was trained on");
  return found->second;
}

void PublishedFeed::next(int32_t* inputs, int32_t* targets) {
  for (size_t i = 0; i < batch_; ++i) {
    const size_t window = order_[static_cast<size_t>(next_) * batch_ + i];
    std::copy_n(inputs_.data() + window * kWindow, kWindow, inputs + i * kWindow);
    targets[i] = targets_[window];
  }
  ++next_;
}

}  // namespace etude::midi
