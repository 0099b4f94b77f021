#include "tests/reference/gru.h"

#include <cmath>

namespace etude::reference {
namespace {

using kernels::GruShape;

double logistic(double v) { return 1 / (1 + std::exp(-v)); }

// out += in w, with w [n_in, n_out].
void add_product(int64_t n_in, int64_t n_out, const double* in, const Vec& w, double* out) {
  for (int64_t i = 0; i < n_in; ++i)
    for (int64_t j = 0; j < n_out; ++j) out[j] += in[i] * w[i * n_out + j];
}

// The backward of the same product: din += dout w^T, dw += in^T dout.
void add_product_gradients(int64_t n_in, int64_t n_out, const double* in, const Vec& w,
                           const Vec& dout, double* din, Vec& dw) {
  for (int64_t i = 0; i < n_in; ++i)
    for (int64_t j = 0; j < n_out; ++j) {
      din[i] += dout[j] * w[i * n_out + j];
      dw[i * n_out + j] += in[i] * dout[j];
    }
}

void add_to(Vec& sum, const Vec& v) {
  for (size_t i = 0; i < v.size(); ++i) sum[i] += v[i];
}

int64_t time_of_step(const GruShape& shape, int64_t step) {
  return shape.reverse ? shape.time - 1 - step : step;
}

// Where the output of batch row b at time t lies, or -1 if it is not put out.
int64_t output_row(const GruShape& shape, int64_t b, int64_t t) {
  if (!shape.last_only) return b * shape.time + t;
  return t == time_of_step(shape, shape.time - 1) ? b : -1;
}

}  // namespace

GruForward gru_forward(const GruShape& shape, const GruWeights& weights, const Vec& x) {
  const int64_t in = shape.in, units = shape.units, rows = shape.batch * shape.time;
  GruForward out{Vec((shape.last_only ? shape.batch : rows) * units), Vec(rows * 3 * units),
                 Vec(rows * units), Vec(rows * units)};
  for (int64_t b = 0; b < shape.batch; ++b) {
    Vec h(units);
    for (int64_t step = 0; step < shape.time; ++step) {
      const int64_t t = time_of_step(shape, step), row = b * shape.time + t;
      Vec from_x = weights.bias, from_h = weights.recurrent_bias;
      add_product(in, 3 * units, &x[row * in], weights.kernel, from_x.data());
      add_product(units, 3 * units, h.data(), weights.recurrent_kernel, from_h.data());
      for (int64_t k = 0; k < units; ++k) {
        const double z = logistic(from_x[k] + from_h[k]);
        const double r = logistic(from_x[units + k] + from_h[units + k]);
        const double candidate = from_h[2 * units + k];
        const double g = std::tanh(from_x[2 * units + k] + r * candidate);
        out.gates[row * 3 * units + k] = z;
        out.gates[row * 3 * units + units + k] = r;
        out.gates[row * 3 * units + 2 * units + k] = g;
        out.candidate[row * units + k] = candidate;
        out.previous[row * units + k] = h[k];
        h[k] = z * h[k] + (1 - z) * g;
      }
      const int64_t to = output_row(shape, b, t);
      for (int64_t k = 0; to >= 0 && k < units; ++k) out.y[to * units + k] = h[k];
    }
  }
  return out;
}

GruGradients gru_backward(const GruShape& shape, const GruWeights& weights, const Vec& x,
                          const Vec& dy) {
  const int64_t in = shape.in, units = shape.units;
  const GruForward saved = gru_forward(shape, weights, x);
  GruGradients out{Vec(x.size()), Vec(in * 3 * units), Vec(units * 3 * units), Vec(3 * units),
                   Vec(3 * units)};
  for (int64_t b = 0; b < shape.batch; ++b) {
    Vec dh(units);
    for (int64_t step = shape.time - 1; step >= 0; --step) {
      const int64_t t = time_of_step(shape, step), row = b * shape.time + t;
      const int64_t from = output_row(shape, b, t);
      Vec dfrom_x(3 * units), dfrom_h(3 * units), dprevious(units);
      for (int64_t k = 0; k < units; ++k) {
        if (from >= 0) dh[k] += dy[from * units + k];
        const double z = saved.gates[row * 3 * units + k];
        const double r = saved.gates[row * 3 * units + units + k];
        const double g = saved.gates[row * 3 * units + 2 * units + k];
        const double dz = dh[k] * (saved.previous[row * units + k] - g) * z * (1 - z);
        const double dg = dh[k] * (1 - z) * (1 - g * g);
        const double dr = dg * saved.candidate[row * units + k] * r * (1 - r);
        dfrom_x[k] = dfrom_h[k] = dz;
        dfrom_x[units + k] = dfrom_h[units + k] = dr;
        dfrom_x[2 * units + k] = dg;
        dfrom_h[2 * units + k] = dg * r;
        dprevious[k] = dh[k] * z;
      }
      add_product_gradients(in, 3 * units, &x[row * in], weights.kernel, dfrom_x, &out.dx[row * in],
                            out.dkernel);
      add_product_gradients(units, 3 * units, &saved.previous[row * units],
                            weights.recurrent_kernel, dfrom_h, dprevious.data(),
                            out.drecurrent_kernel);
      add_to(out.dbias, dfrom_x);
      add_to(out.drecurrent_bias, dfrom_h);
      dh = dprevious;
    }
  }
  return out;
}

}  // namespace etude::reference
