#include "tests/reference/attention.h"

#include <algorithm>
#include <cmath>

namespace etude::reference {
namespace {

using kernels::AttentionShape;

struct Band {
  int64_t begin, end;
};

Band band_of(const AttentionShape& shape, int64_t i) {
  const int64_t begin = i - shape.width / 2;
  return {std::max<int64_t>(begin, 0), std::min(begin + shape.width, shape.time)};
}

// Where the features of one head at one time lie in an array [batch, time, features].
struct Places {
  const AttentionShape& shape;
  int64_t batch, head;
  int64_t operator()(int64_t t) const {
    return (batch * shape.time + t) * shape.features + head * (shape.features / shape.heads);
  }
  // Where row i of a [batch, heads, time, time] array lies.
  int64_t row(int64_t i) const {
    return ((batch * shape.heads + head) * shape.time + i) * shape.time;
  }
};

double dot(int64_t n, const double* a, const double* b) {
  double sum = 0;
  for (int64_t d = 0; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

void add_scaled(int64_t n, double factor, const double* a, double* sum) {
  for (int64_t d = 0; d < n; ++d) sum[d] += factor * a[d];
}

void softmax(const double* e, const Band& band, double* a) {
  const double largest = *std::max_element(e + band.begin, e + band.end);
  double sum = 0;
  for (int64_t j = band.begin; j < band.end; ++j) sum += a[j] = std::exp(e[j] - largest);
  for (int64_t j = band.begin; j < band.end; ++j) a[j] /= sum;
}

void head_forward(const Places& at, const double* wa, double ba, const Vec& x,
                  AttentionForward& out) {
  const AttentionShape& shape = at.shape;
  const int64_t dim = shape.features / shape.heads;
  for (int64_t i = 0; i < shape.time; ++i) {
    const Band band = band_of(shape, i);
    double* query = &out.query[at(i)];
    double* e = &out.scores[at.row(i)];
    double* a = &out.weights[at.row(i)];
    for (int64_t d = 0; d < dim; ++d) add_scaled(dim, x[at(i) + d], wa + d * dim, query);
    for (int64_t j = band.begin; j < band.end; ++j) {
      const double score = dot(dim, query, &x[at(j)]) + ba;
      e[j] = shape.sigmoid ? 1 / (1 + std::exp(-score)) : score;
    }
    softmax(e, band, a);
    for (int64_t j = band.begin; j < band.end; ++j) add_scaled(dim, a[j], &x[at(j)], &out.y[at(i)]);
  }
}

void head_backward(const Places& at, const double* wa, const Vec& x, const Vec& dy,
                   const AttentionForward& saved, Vec& dx, double* dwa, double& dba) {
  const AttentionShape& shape = at.shape;
  const int64_t dim = shape.features / shape.heads;
  for (int64_t i = 0; i < shape.time; ++i) {
    const Band band = band_of(shape, i);
    const double* e = &saved.scores[at.row(i)];
    const double* a = &saved.weights[at.row(i)];
    const double* query = &saved.query[at(i)];
    Vec da(shape.time), dquery(dim);
    double mean = 0;
    for (int64_t j = band.begin; j < band.end; ++j) {
      da[j] = dot(dim, &dy[at(i)], &x[at(j)]);
      mean += a[j] * da[j];
      add_scaled(dim, a[j], &dy[at(i)], &dx[at(j)]);
    }
    for (int64_t j = band.begin; j < band.end; ++j) {
      const double de = a[j] * (da[j] - mean);
      const double dscore = shape.sigmoid ? de * e[j] * (1 - e[j]) : de;
      dba += dscore;
      add_scaled(dim, dscore, &x[at(j)], dquery.data());
      add_scaled(dim, dscore, query, &dx[at(j)]);
    }
    for (int64_t d = 0; d < dim; ++d) {
      add_scaled(dim, x[at(i) + d], dquery.data(), dwa + d * dim);
      dx[at(i) + d] += dot(dim, dquery.data(), wa + d * dim);
    }
  }
}

}  // namespace

AttentionForward attention_forward(const AttentionShape& shape, const AttentionWeights& weights,
                                   const Vec& x) {
  const int64_t dim = shape.features / shape.heads;
  const int64_t pairs = shape.batch * shape.heads * shape.time * shape.time;
  AttentionForward out{Vec(x.size()), Vec(x.size()), Vec(pairs), Vec(pairs)};
  for (int64_t b = 0; b < shape.batch; ++b)
    for (int64_t h = 0; h < shape.heads; ++h)
      head_forward({shape, b, h}, &weights.wa[h * dim * dim], weights.ba[h], x, out);
  return out;
}

AttentionGradients attention_backward(const AttentionShape& shape, const AttentionWeights& weights,
                                      const Vec& x, const Vec& dy) {
  const int64_t dim = shape.features / shape.heads;
  const AttentionForward saved = attention_forward(shape, weights, x);
  AttentionGradients out{Vec(x.size()), Vec(weights.wa.size()), Vec(shape.heads)};
  for (int64_t b = 0; b < shape.batch; ++b)
    for (int64_t h = 0; h < shape.heads; ++h)
      head_backward({shape, b, h}, &weights.wa[h * dim * dim], x, dy, saved, out.dx,
                    &out.dwa[h * dim * dim], out.dba[h]);
  return out;
}

}  // namespace etude::reference
