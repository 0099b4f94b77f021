// Making the mask is the work. Philox blocks as many as a vector has lanes, side by side: 96 x 50 x
// 256 elements take 1.2 ms on one thread of an AMD EPYC with AVX-512; loops of 64-bit products that
// the compiler vectorised took 3.9, Random123's blocks one at a time 8.7. philox.h is the reference
// that the tests hold this against.

#include "kernels/dropout.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"
#include "kernels/simd_lanes.h"

namespace etude::kernels::cpu {
namespace {

constexpr int64_t kNumbers = 4 * kLanes;  // of 32 bits: kLanes Philox blocks, made at a time
constexpr int64_t kGrain = kNumbers << 6;

// numbers[j][i]: number 16 j + i (with 16 lanes) of those that begin with block `first`.
void philox_numbers(const RandomKey& key, uint64_t first, UintVec (&numbers)[4]) {
  UintVec w0, w1, w2 = key.stream - UintVec{}, w3 = key.step - UintVec{};
  for (int i = 0; i < kLanes; ++i) {
    w0[i] = static_cast<uint32_t>(first + i);
    w1[i] = static_cast<uint32_t>((first + i) >> 32);
  }
  uint32_t key0 = static_cast<uint32_t>(key.seed), key1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    UintVec low0, high0, low2, high2;
    multiply_wide(w0, 0xD2511F53, low0, high0);
    multiply_wide(w2, 0xCD9E8D57, low2, high2);
    w0 = high2 ^ w1 ^ key0;
    w2 = high0 ^ w3 ^ key1;
    w1 = low2;
    w3 = low0;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  // A block's four numbers are neighbours.
  const UintVec low02 = interleave_low(w0, w2), high02 = interleave_high(w0, w2);
  const UintVec low13 = interleave_low(w1, w3), high13 = interleave_high(w1, w3);
  numbers[0] = interleave_low(low02, low13);
  numbers[1] = interleave_high(low02, low13);
  numbers[2] = interleave_low(high02, high13);
  numbers[3] = interleave_high(high02, high13);
}

// y = x / (1 - rate) where element i is kept, else 0; added to what y holds with Write::add.
void apply_mask(int64_t n, float rate, const RandomKey& key, const float* x, float* y,
                Write write) {
  const auto threshold = static_cast<uint32_t>(std::floor(static_cast<double>(rate) * 0x1p32));
  const float scale = 1.0f / (1.0f - rate);
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    UintVec numbers[4];
    for (int64_t i = begin; i < end; i += kNumbers) {
      philox_numbers(key, static_cast<uint64_t>(i) / 4, numbers);
      for (int64_t j = 0; j < 4 && i + j * kLanes < end; ++j) {
        const int64_t at = i + j * kLanes, lanes = end - at;
        Vec kept = select(numbers[j] < threshold, Vec{}, load(x + at, lanes) * scale);
        if (write == Write::add) kept += load(y + at, lanes);
        store(y + at, kept, lanes);
      }
    }
  });
}

}  // namespace

void dropout_forward(int64_t n, float rate, const RandomKey& key, const float* x, float* y) {
  apply_mask(n, rate, key, x, y, Write::overwrite);
}

void dropout_backward(int64_t n, float rate, const RandomKey& key, const float* dy, float* dx,
                      Write write) {
  apply_mask(n, rate, key, dy, dx, write);
}

}  // namespace etude::kernels::cpu
