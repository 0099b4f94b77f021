#pragma once

// Composition: token after token, each drawn from what the model makes of the window before it.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "apps/checkpoint.h"
#include "apps/sampler.h"

namespace etude::apps {

using TokenSequence = std::vector<int32_t>;

// Tokens of the vocabulary that are one pitch alone, by pitch.
std::vector<int> single_pitches(const midi::Vocabulary& vocabulary);

// A window of silences and the one pitch at its end. Error naming near ones where the vocabulary
// lacks it.
TokenSequence start_window(const midi::Vocabulary& vocabulary, int pitch);

struct Composition {
  std::vector<TokenSequence> windows;  // one a piece, as long as the model's window
  int64_t length;                      // tokens to draw
  uint64_t seed;
  SamplerOptions sampler;
};

// What is drawn for each piece, the windows not included. All pieces share each forward; the
// numbers of piece i are drawn from stream i of the seed. Class 0 never comes, nor do classes
// without a token. `tell` hears how many tokens there are.
std::vector<TokenSequence> compose_tokens(Checkpoint& checkpoint, const Composition& composition,
                                          const kernels::Stream& stream,
                                          const std::function<void(int64_t)>& tell);

}  // namespace etude::apps
