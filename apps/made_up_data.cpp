#include "apps/made_up_data.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace etude::apps {

midi::Dataset made_up_data(int64_t classes, int64_t samples) {
  // Zipf's law. At 36,011 classes a minibatch of 96 windows has 1,820 different tokens; 100 MAESTRO
  // performances have 1,850.
  constexpr double kExponent = 1.05;
  std::vector<double> sums(static_cast<size_t>(classes - 1));
  double sum = 0;
  for (size_t rank = 0; rank < sums.size(); ++rank)
    sums[rank] = sum += std::pow(static_cast<double>(rank + 1), -kExponent);
  std::mt19937_64 random(1);
  midi::Dataset data;
  data.tokens.resize(static_cast<size_t>(samples + midi::kWindow));
  for (int32_t& token : data.tokens) {
    const double at = static_cast<double>(random() >> 11) * 0x1p-53 * sum;
    const auto found = std::upper_bound(sums.begin(), sums.end() - 1, at);
    token = static_cast<int32_t>(found - sums.begin()) + 1;
  }
  data.songs.push_back({"made up", samples, 0, samples, samples, 0, samples});
  return data;
}

}  // namespace etude::apps
