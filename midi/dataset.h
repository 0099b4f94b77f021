#pragma once

// What training reads: every song's tokens in one flat array, 49 silences before each. A window is
// an offset o into it: its input is tokens[o .. o+50), its target tokens[o+50]. Nothing is copied.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "midi/piano_roll.h"
#include "midi/tokens.h"

namespace etude::midi {

inline constexpr int64_t kWindow = 50;

struct Song {
  std::string name;                                          // as the table or the folder has it
  int64_t columns, first_step, last_step, steps_with_notes;  // steps: columns that sound
  int64_t first_token;  // index in Dataset::tokens of the first of its 49 silences
  int64_t samples;      // its windows: offsets first_token + 0 .. samples-1
  std::filesystem::path path = {};
};

struct DatasetOptions {
  double fs = 5;
  Pedal pedal = Pedal::compat;
  int sample = 0;          // so many songs, drawn by `seed`, kept in file order; 0: all
  uint64_t seed = 1;       // of the sample only
  std::string split = {};  // of a table ("train", ...); empty: all
  int threads = 1;         // that read files; the result does not depend on it
  std::filesystem::path cache_folder = {};  // of token_cache.h; empty: no cache
};

struct Skipped {
  std::string file, reason;
};

struct Dataset {
  Vocabulary vocabulary;
  std::vector<int32_t> tokens;
  std::vector<Song> songs;  // in file order
  std::vector<Skipped> skipped;
  int64_t unknown_tokens = 0;   // steps mapped to class 0: a given vocabulary lacks them
  int64_t unknown_targets = 0;  // windows whose target is class 0; they stay among the samples

  int64_t samples() const;
  int64_t steps_with_notes() const;
  const int32_t* input(int64_t offset) const { return tokens.data() + offset; }
  // 0: a token that the vocabulary lacks.
  int32_t target(int64_t offset) const { return tokens[static_cast<size_t>(offset + kWindow)]; }
  // Visits each window's offset, song after song.
  template <class Visit>
  void each_window(Visit visit) const {
    for (const Song& song : songs) {
      for (int64_t i = 0; i < song.samples; ++i) visit(song.first_token + i);
    }
  }
};

// PATH as in sources.h.
//
// A file that cannot be read, has no closed note or no column that sounds is skipped and named
// in `skipped`; a single file, or a folder in which nothing is left, is an Error. So is a sample
// larger than what there is.
Dataset load_dataset(const std::filesystem::path& path, const DatasetOptions& options);

// With the vocabulary of a trained model: chords that it lacks become class 0 and are counted.
Dataset load_dataset(const std::filesystem::path& path, const DatasetOptions& options,
                     const Vocabulary& fixed);

// One epoch's windows in the order of training: songs shuffled and taken in groups of
// `song_group`, the windows of a group shuffled and cut into minibatches of `batch`, an incomplete
// last one of each group dropped. A function of (dataset, seed, epoch) alone, on every machine. Its
// size is a multiple of `batch`.
std::vector<int64_t> epoch_order(const Dataset& dataset, uint64_t seed, int epoch, int song_group,
                                 int batch);

// The same groups in file order: what an epoch amounts to.
struct SongGroup {
  int64_t songs, samples, minibatches, dropped;
};
std::vector<SongGroup> song_groups(const Dataset& dataset, int song_group, int batch);

// Of all targets, and of all windows, song after song, as little-endian 32-bit integers.
std::string sha256_targets(const Dataset& dataset);
std::string sha256_windows(const Dataset& dataset);

}  // namespace etude::midi
