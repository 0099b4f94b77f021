#pragma once

// From logits to the next token. In this order: the softmax of logits / temperature, in double;
// of its classes the top-k; of these, renormalised, the fewest whose probabilities sum to top-p;
// of these those at least min-p times as probable as the first; one drawn from what is left.

#include <cstdint>
#include <vector>

#include "engine/random.h"

namespace etude::apps {

struct SamplerOptions {
  double temperature = 1;  // 0: always the most probable, the lowest class where several are
  int64_t top_k = 0;       // 0: all
  double top_p = 1;        // (0, 1]
  double min_p = 0;        // [0, 1]
};

class Sampler {
 public:
  // Classes first .. end-1 can be drawn; the others' logits are not looked at.
  Sampler(const SamplerOptions& options, int64_t first, int64_t end);

  int32_t operator()(const float* logits, RandomSequence& random);

 private:
  struct Candidate {
    double probability;
    int32_t token;
  };
  void softmax(const float* logits);
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();

  SamplerOptions options_;
  int64_t first_, end_;
  std::vector<Candidate> candidates_;
};

}  // namespace etude::apps
