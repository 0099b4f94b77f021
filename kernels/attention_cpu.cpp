// x Wa and the gradients of Wa are large matrix products; the scores of one batch row and head are
// small ones, made by one task that keeps them in its cache from the scores to the weighted sum.

#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "kernels/simd.h"

namespace etude::kernels::cpu {
namespace {

// One batch row and head: views into the arrays of the whole.
struct Slice {
  const AttentionShape& s;
  int64_t row, head;
  int64_t dim() const { return s.features / s.heads; }
  int64_t features_at() const { return row * s.time * s.features + head * dim(); }
  int64_t square_at() const { return (row * s.heads + head) * s.time * s.time; }
  // The band of step i: first <= j < last.
  int64_t first(int64_t i) const { return std::max<int64_t>(0, i - s.width / 2); }
  int64_t last(int64_t i) const { return std::min(s.time, i - s.width / 2 + s.width); }
};

// e and a of one step from its raw scores; the sum runs in a fixed order.
void softmax_row(const Slice& slice, float bias, int64_t i, float* e, float* a) {
  const int64_t time = slice.s.time, first = slice.first(i), last = slice.last(i);
  for (int64_t j = first; j < last; j += kLanes) {
    const int64_t lanes = last - j;
    const Vec score = load(e + j, lanes) + bias;
    store(e + j, slice.s.sigmoid ? sigmoid(score) : score, lanes);
  }
  const float largest = slice.s.sigmoid ? 0.0f : *std::max_element(e + first, e + last);
  float sum = 0;
  for (int64_t j = first; j < last; j += kLanes)
    store(a + j, exp(load(e + j, last - j) - largest), last - j);
  for (int64_t j = first; j < last; ++j) sum += a[j];
  const float scale = 1.0f / sum;
  std::fill(a, a + first, 0.0f);
  std::fill(a + last, a + time, 0.0f);
  for (int64_t j = first; j < last; ++j) a[j] *= scale;
}

void forward_slice(const Slice& slice, float bias, const float* x, float* y,
                   const AttentionSaved& saved) {
  const int64_t time = slice.s.time, dim = slice.dim(), stride = slice.s.features;
  const int64_t at = slice.features_at();
  float* e = saved.scores + slice.square_at();
  float* a = saved.weights + slice.square_at();
  matmul(time, time, dim, {saved.query + at, stride}, {x + at, stride, Transpose::yes}, e, time,
         Write::overwrite);
  for (int64_t i = 0; i < time; ++i) softmax_row(slice, bias, i, e + i * time, a + i * time);
  matmul(time, dim, time, {a, time}, {x + at, stride}, y + at, stride, Write::overwrite);
}

// The gradient of one step's raw scores, in place of e, from da; returns its part of dba. The parts
// of dba nearly cancel: in double, so that what is left of them is more than rounding.
double score_gradient(const Slice& slice, int64_t i, const float* da, const float* a, float* e) {
  const int64_t first = slice.first(i), last = slice.last(i);
  double inner = 0, sum = 0, bias_gradient = 0;
  for (int64_t j = first; j < last; ++j) {
    inner += static_cast<double>(a[j]) * da[j];
    sum += a[j];
  }
  inner /= sum;
  for (int64_t j = first; j < last; ++j) {
    double de = a[j] * (da[j] - inner);
    if (slice.s.sigmoid) de *= e[j] * (1.0 - e[j]);
    e[j] = static_cast<float>(de);
    bias_gradient += de;
  }
  std::fill(e, e + first, 0.0f);
  std::fill(e + last, e + slice.s.time, 0.0f);
  return bias_gradient;
}

// dx takes what comes by the weighted sum and by the scores' right-hand x; the query is replaced by
// its gradient. Returns the slice's part of dba.
double backward_slice(const Slice& slice, const float* x, const float* dy,
                      const AttentionSaved& saved, float* dx, Write dx_write) {
  const int64_t time = slice.s.time, dim = slice.dim(), stride = slice.s.features;
  const int64_t at = slice.features_at();
  float* e = saved.scores + slice.square_at();
  const float* a = saved.weights + slice.square_at();
  std::vector<float> da(time * time);
  matmul(time, time, dim, {dy + at, stride}, {x + at, stride, Transpose::yes}, da.data(), time,
         Write::overwrite);
  matmul(time, dim, time, {a, time, Transpose::yes}, {dy + at, stride}, dx + at, stride, dx_write);
  double bias_gradient = 0;
  for (int64_t i = 0; i < time; ++i)
    bias_gradient += score_gradient(slice, i, da.data() + i * time, a + i * time, e + i * time);
  matmul(time, dim, time, {e, time, Transpose::yes}, {saved.query + at, stride}, dx + at, stride,
         Write::add);
  matmul(time, dim, time, {e, time}, {x + at, stride}, saved.query + at, stride, Write::overwrite);
  return bias_gradient;
}

}  // namespace

void attention_forward(const AttentionShape& s, const AttentionWeights& w, const float* x, float* y,
                       const AttentionSaved& saved) {
  const int64_t dim = s.features / s.heads, steps = s.batch * s.time;
  for (int64_t head = 0; head < s.heads; ++head)
    matmul(steps, dim, dim, {x + head * dim, s.features}, {w.wa + head * dim * dim, dim},
           saved.query + head * dim, s.features, Write::overwrite);
  parallel_tasks(s.batch * s.heads, [&](int64_t task) {
    const Slice slice{s, task / s.heads, task % s.heads};
    forward_slice(slice, w.ba[slice.head], x, y, saved);
  });
}

void attention_backward(const AttentionShape& s, const AttentionWeights& w, const float* x,
                        const float* dy, const AttentionSaved& saved, const AttentionGradients& g) {
  const int64_t dim = s.features / s.heads, steps = s.batch * s.time;
  std::vector<float> bias_gradients(s.batch * s.heads);
  parallel_tasks(s.batch * s.heads, [&](int64_t task) {
    const Slice slice{s, task / s.heads, task % s.heads};
    bias_gradients[task] =
        static_cast<float>(backward_slice(slice, x, dy, saved, g.dx, g.dx_write));
  });
  column_sums(s.batch, s.heads, bias_gradients.data(), s.heads, g.dba, g.dba_write);
  for (int64_t head = 0; head < s.heads; ++head) {
    const MatrixView dquery = {saved.query + head * dim, s.features};
    const float* wa = w.wa + head * dim * dim;
    matmul(dim, dim, steps, {x + head * dim, s.features, Transpose::yes}, dquery,
           g.dwa + head * dim * dim, dim, g.dwa_write);
    matmul(steps, dim, dim, dquery, {wa, dim, Transpose::yes}, g.dx + head * dim, s.features,
           Write::add);
  }
}

}  // namespace etude::kernels::cpu
