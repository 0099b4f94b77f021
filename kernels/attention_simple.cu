// The plain version, in exact fp32 whatever the stream's precision: a block a row of queries (or,
// for the gradient that comes by the keys, a row of keys), a thread a score, then a thread a
// feature. It is what the others are measured against.
//
// Cost at the paper's sizes (B 96, T 50, F 256, one head): a thread's row of x comes by scattered
// loads of 4 bytes, each a sector of its own, from L1 at best: about 10 times the tiled version's
// work, and nothing here tries to help it. Floor: that of attention_tiled.cu.
// Measured: not yet, no GPU was at hand. No spills; at most 48 registers for sm_90a, 64 for sm_80.

#include "kernels/attention_rows.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 64;  // and scores at a time

__device__ AttentionSlice slice_of(const AttentionShape& s, int64_t block) {
  return {s, block / s.time / s.heads, block / s.time % s.heads};
}

__device__ float dot(int64_t n, const float* a, const float* b) {
  float sum = 0;
  for (int64_t d = 0; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

// y is the running weighted sum until the last chunk of keys is in; each thread has features of its
// own.
__global__ void forward(AttentionShape s, AttentionForwardArrays p) {
  SIMT_SHARED(float, weights, [kThreads]);
  SIMT_SHARED(float, partial, [kThreads / 32]);
  const int64_t i = blockIdx.x % s.time, dim = s.features / s.heads;
  const AttentionSlice slice = slice_of(s, blockIdx.x);
  const float* query = p.query + slice.features(i);
  float* y = p.y + slice.features(i);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t last = last_key(s, i);
  float largest = attention_lowest(s), sum = 0;
  for (int64_t j0 = first_key(s, i); j0 < last; j0 += kThreads) {
    const int64_t j = j0 + thread;
    float e = attention_lowest(s);
    if (j < last)
      e = attention_score(s, dot(dim, query, p.x + slice.features(j)), p.ba[slice.head]);
    const float larger = s.sigmoid ? 0.0f : fmaxf(largest, block_max(e, partial));
    const float shrink = expf(largest - larger);
    largest = larger;
    const float weight = j < last ? expf(e - largest) : 0.0f;
    weights[thread] = weight;
    sum = sum * shrink + block_sum(weight, partial);
    const int64_t keys = last - j0 < kThreads ? last - j0 : kThreads;
    for (int64_t d = thread; d < dim; d += kThreads) {
      float value = j0 == first_key(s, i) ? 0.0f : y[d] * shrink;
      for (int64_t k = 0; k < keys; ++k) value += weights[k] * p.x[slice.features(j0 + k) + d];
      y[d] = value;
    }
    __syncthreads();
  }
  for (int64_t d = thread; d < dim; d += kThreads) y[d] /= sum;
  if (thread == 0) p.log_sum[slice.steps() + i] = largest + logf(sum);
}

struct Pair {
  float weight, gradient;  // a, and the gradient of the product under its score
};

__device__ Pair pair(const AttentionSlice& slice, const AttentionBackwardArrays& p, int64_t i,
                     int64_t j) {
  const AttentionShape& s = slice.s;
  const int64_t dim = s.features / s.heads, row = slice.features(i);
  const float* key = p.x + slice.features(j);
  const float e = attention_score(s, dot(dim, p.query + row, key), p.ba[slice.head]);
  const float a = expf(e - p.log_sum[slice.steps() + i]);
  const float da = dot(dim, p.dy + row, key);
  const float inner = dot(dim, p.dy + row, p.y + row);  // the sum of a da over the row
  return {a, a * (da - inner) * attention_slope(s, e)};
}

__global__ void backward_query(AttentionShape s, AttentionBackwardArrays p) {
  SIMT_SHARED(float, gradients, [kThreads]);
  SIMT_SHARED(float, partial, [kThreads / 32]);
  const int64_t i = blockIdx.x % s.time, dim = s.features / s.heads;
  const AttentionSlice slice = slice_of(s, blockIdx.x);
  float* dquery = p.dquery + slice.features(i);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = first_key(s, i), last = last_key(s, i);
  float bias_gradient = 0;
  for (int64_t j0 = first; j0 < last; j0 += kThreads) {
    const int64_t keys = last - j0 < kThreads ? last - j0 : kThreads;
    if (thread < keys) {
      gradients[thread] = pair(slice, p, i, j0 + thread).gradient;
      bias_gradient += gradients[thread];
    }
    __syncthreads();
    for (int64_t d = thread; d < dim; d += kThreads) {
      float value = j0 == first ? 0.0f : dquery[d];
      for (int64_t k = 0; k < keys; ++k) value += gradients[k] * p.x[slice.features(j0 + k) + d];
      dquery[d] = value;
    }
    __syncthreads();
  }
  bias_gradient = block_sum(bias_gradient, partial);
  if (thread == 0) p.dba_parts[slice.part(s.time, i)] = bias_gradient;
}

__global__ void backward_key(AttentionShape s, AttentionBackwardArrays p) {
  SIMT_SHARED(Pair, pairs, [kThreads]);
  const int64_t j = blockIdx.x % s.time, dim = s.features / s.heads;
  const AttentionSlice slice = slice_of(s, blockIdx.x);
  float* dx = p.dx + slice.features(j);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = first_query(s, j), last = last_query(s, j);
  for (int64_t i0 = first; i0 < last; i0 += kThreads) {
    const int64_t queries = last - i0 < kThreads ? last - i0 : kThreads;
    if (thread < queries) pairs[thread] = pair(slice, p, i0 + thread, j);
    __syncthreads();
    for (int64_t d = thread; d < dim; d += kThreads) {
      float value = 0;
      for (int64_t k = 0; k < queries; ++k) {
        const int64_t at = slice.features(i0 + k) + d;
        value += pairs[k].weight * p.dy[at] + pairs[k].gradient * p.query[at];
      }
      write_sum(dx + d, value, i0 == first ? p.dx_write : Write::add);
    }
    __syncthreads();
  }
}

Extent rows(const AttentionShape& s) { return {static_cast<int>(s.batch * s.heads * s.time)}; }

}  // namespace

void attention_forward_simple(const Stream& stream, const AttentionShape& shape,
                              const AttentionForwardArrays& arrays) {
  launch(stream, {"attention_forward_simple", rows(shape), {kThreads}}, forward, shape, arrays);
}

void attention_backward_simple(const Stream& stream, const AttentionShape& shape,
                               const AttentionBackwardArrays& arrays) {
  launch(stream, {"attention_query_simple", rows(shape), {kThreads}}, backward_query, shape,
         arrays);
  launch(stream, {"attention_key_simple", rows(shape), {kThreads}}, backward_key, shape, arrays);
}

}  // namespace etude::kernels::ETUDE_DEVICE
