#pragma once

// Minibatches in the way of the notebook that the paper follows, to show what it costs: in every
// epoch, for every group of songs, the MIDI files are parsed and rolled again, each column is
// written as a token's text again, each window becomes a row of texts, each text is looked up, and
// the ids lie in arrays [windows, 50]. The minibatches are those of epoch_order(), in its order.

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "midi/dataset.h"

namespace etude::midi {

class PublishedFeed {
 public:
  // The dataset, read with these options, must outlive the feed.
  PublishedFeed(const Dataset& dataset, const RollOptions& roll, int song_group, int batch);

  void begin_epoch(uint64_t seed, int epoch);
  // Minibatches left of the group that was read last.
  int64_t left() const { return minibatches_ - next_; }
  // The epoch's next songs. Throws Error where a file is not any more what the dataset was made of.
  void read_group();
  // inputs [batch, 50], targets [batch]; only where some are left.
  void next(int32_t* inputs, int32_t* targets);
  void skip(int64_t minibatches) { next_ += minibatches; }  // at most those left

 private:
  using Texts = std::vector<std::string>;
  Texts texts_of(const Song& song) const;
  void add_windows(const Song& song, const Texts& texts);
  int32_t id_of(const Song& song, std::string_view text) const;

  const Dataset& dataset_;
  RollOptions roll_;
  size_t song_group_, batch_;
  Texts tokens_;  // what the dictionary's keys point to
  std::unordered_map<std::string_view, int32_t> dictionary_;
  std::mt19937_64 random_;
  std::vector<const Song*> songs_;  // of this epoch, in its order
  size_t next_song_ = 0;
  std::vector<int32_t> inputs_, targets_;  // [windows, 50], [windows]
  std::vector<size_t> order_;
  int64_t minibatches_ = 0, next_ = 0;
};

}  // namespace etude::midi
