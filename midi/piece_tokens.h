#pragma once

// One performance as tokens of its own, numbered by their first appearance in it: what can be made
// of each file by itself, on any core, before a vocabulary of all files exists.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "midi/piano_roll.h"
#include "midi/pitch_set.h"
#include "midi/token_cache.h"

namespace etude::midi {

// The columns of a performance from the first that sounds to the last. Throws Error, where none
// does as well.
struct SoundingColumns {
  std::vector<PitchSet> steps;
  int64_t columns = 0, first = 0, sounding = 0;  // of the whole roll; with notes
};
SoundingColumns read_sounding_columns(const std::filesystem::path& path,
                                      const RollOptions& options);

struct PieceTokens {
  int64_t columns = 0, first = 0, sounding = 0;  // as in SoundingColumns
  std::vector<PitchSet> chords = {};             // of number 1, 2, ...
  std::vector<int32_t> steps = {};               // a number for each column; 0: silence
  std::string fault = {};                        // why the file cannot be used; empty if it can
};

// In the order of the paths; no fault of a file is thrown. The files are shared out among the
// threads; where the cache has what the same contents gave with the same options, they are only
// read.
std::vector<PieceTokens> read_piece_tokens(std::span<const std::filesystem::path> paths,
                                           const RollOptions& options, int threads,
                                           const TokenCache& cache);

}  // namespace etude::midi
