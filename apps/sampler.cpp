#include "apps/sampler.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "engine/error.h"

namespace etude::apps {
namespace {

// The more probable first; of equals the lower class, so that the order is the same everywhere.
constexpr auto kMoreProbable = [](const auto& a, const auto& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
};

template <typename Candidates>
double total(const Candidates& candidates) {
  double sum = 0;
  for (const auto& candidate : candidates) sum += candidate.probability;
  return sum;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options, int64_t first, int64_t end)
    : options_(options), first_(first), end_(end) {
  if (first >= end) throw Error("the vocabulary has no token to draw");
}

int32_t Sampler::operator()(const float* logits, RandomSequence& random) {
  if (!std::all_of(logits + first_, logits + end_, [](float l) { return std::isfinite(l); }))
    throw Error("the model's logits are not finite: its weights are no trained model's");
  if (options_.temperature == 0)
    return static_cast<int32_t>(std::max_element(logits + first_, logits + end_) - logits);
  softmax(logits);
  keep_top_k();
  keep_top_p();
  keep_min_p();
  double rest = random.uniform() * total(candidates_);
  for (const Candidate& candidate : candidates_) {
    rest -= candidate.probability;
    if (rest < 0) return candidate.token;
  }
  return candidates_.back().token;  // rounding
}

// Without the division by the sum: every later step only compares and sums.
void Sampler::softmax(const float* logits) {
  const double largest = *std::max_element(logits + first_, logits + end_);
  candidates_.clear();
  for (int64_t i = first_; i < end_; ++i)
    candidates_.push_back(
        {std::exp((logits[i] - largest) / options_.temperature), static_cast<int32_t>(i)});
}

void Sampler::keep_top_k() {
  if (options_.top_k == 0 || options_.top_k >= std::ssize(candidates_)) return;
  std::partial_sort(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(),
                    kMoreProbable);
  candidates_.resize(static_cast<size_t>(options_.top_k));
}

void Sampler::keep_top_p() {
  if (options_.top_p >= 1) return;
  std::sort(candidates_.begin(), candidates_.end(), kMoreProbable);
  double wanted = options_.top_p * total(candidates_);
  size_t kept = 0;
  do wanted -= candidates_[kept++].probability;
  while (wanted > 0 && kept < candidates_.size());
  candidates_.resize(kept);
}

void Sampler::keep_min_p() {
  if (options_.min_p <= 0) return;
  const double least = options_.min_p;  // the first's probability is 1 here
  std::erase_if(candidates_, [least](const Candidate& c) { return c.probability < least; });
}

}  // namespace etude::apps
