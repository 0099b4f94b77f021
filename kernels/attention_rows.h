#pragma once

// What the kernels of all versions know of one batch row and head, and of one score.

#include "kernels/attention_versions.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {

// A batch row and head. Row i of an array [batch, time, features] begins at features(i), of one
// [batch, heads, time] at steps().
struct AttentionSlice {
  const AttentionShape& s;
  int64_t batch, head;
  __device__ int64_t features(int64_t i) const {
    return (batch * s.time + i) * s.features + head * (s.features / s.heads);
  }
  __device__ int64_t steps() const { return (batch * s.heads + head) * s.time; }
  __device__ int64_t part(int64_t parts, int64_t i) const {
    return (head * s.batch + batch) * parts + i;
  }
};

__device__ inline int64_t clamp_step(int64_t i, int64_t time) {
  return i < 0 ? 0 : i < time ? i : time;
}
// The keys j that query i attends to, first <= j < last; and the queries that attend to key j.
__device__ inline int64_t first_key(const AttentionShape& s, int64_t i) {
  return clamp_step(i - s.width / 2, s.time);
}
__device__ inline int64_t last_key(const AttentionShape& s, int64_t i) {
  return clamp_step(i - s.width / 2 + s.width, s.time);
}
__device__ inline int64_t first_query(const AttentionShape& s, int64_t j) {
  return clamp_step(j + s.width / 2 - s.width + 1, s.time);
}
__device__ inline int64_t last_query(const AttentionShape& s, int64_t j) {
  return clamp_step(j + s.width / 2 + 1, s.time);
}
__device__ inline bool in_band(const AttentionShape& s, int64_t i, int64_t j) {
  return first_key(s, i) <= j && j < last_key(s, i);
}

// e of a product q . x
__device__ inline float attention_score(const AttentionShape& s, float product, float bias) {
  return s.sigmoid ? sigmoid_exact(product + bias) : product + bias;
}

// Where a softmax begins: the largest score so far. Scores of the sigmoid lie in (0, 1) and need
// none; otherwise below any score, but finite: the difference of two such is 0.
__device__ inline float attention_lowest(const AttentionShape& s) {
  return s.sigmoid ? 0.0f : -3e38f;
}

// de / d(product), of the score e.
__device__ inline float attention_slope(const AttentionShape& s, float e) {
  return s.sigmoid ? e * (1.0f - e) : 1.0f;
}

__device__ inline void write_sum(float* to, float value, Write write) {
  *to = write == Write::add ? *to + value : value;
}

// Of two neighbours the first `columns`; `pairs` where both together begin on 8 bytes.
__device__ inline void write_pair(float* to, float x, float y, int columns, bool pairs,
                                  Write write) {
  if (pairs && columns > 0) {
    float2* both = reinterpret_cast<float2*>(to);
    const float2 before = write == Write::add ? *both : make_float2(0, 0);
    *both = make_float2(before.x + x, before.y + y);
  } else {
    if (columns > 0) write_sum(to, x, write);
    if (columns > 1) write_sum(to + 1, y, write);
  }
}

}  // namespace etude::kernels::ETUDE_DEVICE
