#include <algorithm>
#include <vector>

#include "kernels/gru_stepwise.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "kernels/simd.h"

namespace etude::kernels::cpu {
namespace {

constexpr int64_t kRowsAPiece = 16;

// A vector of units of one batch row in one step, and where its numbers are.
struct Place {
  const GruShape& s;
  const GruSaved& saved;
  int64_t row, time, unit, lanes;

  int64_t at() const { return row * s.time + time; }
  float* gate(int number) const { return saved.gates + (3 * at() + number) * s.units + unit; }
  float* candidate() const { return saved.candidate + at() * s.units + unit; }
  float* previous() const { return saved.previous + at() * s.units + unit; }
  int64_t of(int64_t width, int64_t part) const { return (row * width + part) * s.units + unit; }
  // In y or dy; null where the step has none.
  template <typename T>
  T* output(T* y, int64_t stride, bool last) const {
    if (!s.last_only) return y + at() * stride + unit;
    return last ? y + row * stride + unit : nullptr;
  }
};

class Steps {
 public:
  Steps(const GruShape& shape, const GruSaved& saved) : s_(shape), saved_(saved) {}

  int64_t time(int64_t step) const { return s_.reverse ? s_.time - 1 - step : step; }
  bool last(int64_t step) const { return step == s_.time - 1; }

  // One pass over the step's [batch, units].
  template <typename Body>
  void pass(int64_t step, const Body& body) const {
    parallel_ranges(s_.batch, kRowsAPiece, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t unit = 0; unit < s_.units; unit += kLanes)
          body(
              Place{s_, saved_, row, time(step), unit, std::min<int64_t>(kLanes, s_.units - unit)});
    });
  }

  MatrixView previous(int64_t step, Transpose transpose = Transpose::no) const {
    return {saved_.previous + time(step) * s_.units, s_.time * s_.units, transpose};
  }

 private:
  const GruShape& s_;
  const GruSaved& saved_;
};

// sums [batch, 3 units]: h R of this step.
void forward_passes(const Steps& steps, const GruShape& s, const GruWeights& w, int64_t step,
                    const float* sums, float* y, int64_t y_stride) {
  const auto bias = [&](const float* b, int gate, const Place& p) {
    return load(b + gate * s.units + p.unit, p.lanes);
  };
  for (const int gate : {0, 1})
    steps.pass(step, [&](const Place& p) {
      const Vec input = load(p.gate(gate), p.lanes) + bias(w.bias, gate, p);
      const Vec state = load(sums + p.of(3, gate), p.lanes) + bias(w.recurrent_bias, gate, p);
      store(p.gate(gate), sigmoid(input + state), p.lanes);
    });
  steps.pass(step, [&](const Place& p) {
    const Vec sum = load(sums + p.of(3, 2), p.lanes);
    store(p.candidate(), sum + bias(w.recurrent_bias, 2, p), p.lanes);
  });
  steps.pass(step, [&](const Place& p) {
    const Vec input = load(p.gate(2), p.lanes) + bias(w.bias, 2, p);
    store(p.gate(2), tanh(input + load(p.gate(1), p.lanes) * load(p.candidate(), p.lanes)),
          p.lanes);
  });
  steps.pass(step, [&](const Place& p) {
    const Vec z = load(p.gate(0), p.lanes), g = load(p.gate(2), p.lanes);
    const Vec state = g + z * (load(p.previous(), p.lanes) - g);
    if (!steps.last(step)) {
      Place next = p;
      next.time = steps.time(step + 1);
      store(next.previous(), state, p.lanes);
    }
    if (float* out = p.output(y, y_stride, steps.last(step))) store(out, state, p.lanes);
  });
}

// The gates become their sums' gradients, z last, as the others need it; carry [batch, units] comes
// in as what the later steps sent back and leaves as what of it skips the gates; sums [batch, 3
// units] is what goes back through R.
void backward_passes(const Steps& steps, int64_t step, const float* dy, int64_t dy_stride,
                     float* carry, float* sums) {
  steps.pass(step, [&](const Place& p) {
    const float* more = p.output(dy, dy_stride, steps.last(step));
    float* dh = carry + p.of(1, 0);
    if (more) store(dh, load(dh, p.lanes) + load(more, p.lanes), p.lanes);
  });
  steps.pass(step, [&](const Place& p) {
    const Vec z = load(p.gate(0), p.lanes), g = load(p.gate(2), p.lanes);
    const Vec dh = load(carry + p.of(1, 0), p.lanes);
    store(sums + p.of(3, 0), dh * (load(p.previous(), p.lanes) - g) * z * (1.0f - z), p.lanes);
    store(carry + p.of(1, 0), dh * z, p.lanes);
    store(p.gate(2), dh * (1.0f - z) * (1.0f - g * g), p.lanes);
  });
  steps.pass(step, [&](const Place& p) {
    const Vec r = load(p.gate(1), p.lanes), dg = load(p.gate(2), p.lanes);
    store(sums + p.of(3, 1), dg * load(p.candidate(), p.lanes) * r * (1.0f - r), p.lanes);
    store(sums + p.of(3, 2), dg * r, p.lanes);
  });
  steps.pass(step, [&](const Place& p) {
    store(p.gate(0), load(sums + p.of(3, 0), p.lanes), p.lanes);
    store(p.gate(1), load(sums + p.of(3, 1), p.lanes), p.lanes);
    store(p.candidate(), load(sums + p.of(3, 2), p.lanes), p.lanes);
  });
}

}  // namespace

void gru_stepwise_forward(const GruShape& s, const GruWeights& w, const float* x, float* y,
                          int64_t y_stride, const GruSaved& saved) {
  const int64_t gates = 3 * s.units;
  matmul(s.batch * s.time, gates, s.in, {x, s.in}, {w.kernel, gates}, saved.gates, gates,
         Write::overwrite);
  const Steps steps(s, saved);
  std::vector<float> sums(static_cast<size_t>(s.batch * gates));
  steps.pass(0, [](const Place& p) { store(p.previous(), Vec{}, p.lanes); });
  for (int64_t step = 0; step < s.time; ++step) {
    matmul(s.batch, gates, s.units, steps.previous(step), {w.recurrent_kernel, gates}, sums.data(),
           gates, Write::overwrite);
    forward_passes(steps, s, w, step, sums.data(), y, y_stride);
  }
}

void gru_stepwise_backward(const GruShape& s, const GruWeights& w, const float* x, const float* dy,
                           int64_t dy_stride, const GruSaved& saved, const GruGradients& g) {
  const int64_t rows = s.batch * s.time, gates = 3 * s.units;
  const Steps steps(s, saved);
  std::vector<float> carry(static_cast<size_t>(s.batch * s.units));
  std::vector<float> sums(static_cast<size_t>(s.batch * gates));
  Write write = g.weights_write;
  for (int64_t step = s.time - 1; step >= 0; --step) {
    backward_passes(steps, step, dy, dy_stride, carry.data(), sums.data());
    const MatrixView d{sums.data(), gates};
    matmul(s.units, gates, s.batch, steps.previous(step, Transpose::yes), d, g.drecurrent_kernel,
           gates, write);
    column_sums(s.batch, gates, sums.data(), gates, g.drecurrent_bias, write);
    write = Write::add;
    if (step == 0) break;  // the state before the first step is a constant
    matmul(s.batch, s.units, gates, d, {w.recurrent_kernel, gates, Transpose::yes}, carry.data(),
           s.units, Write::add);
  }
  const MatrixView d{saved.gates, gates};
  matmul(s.in, gates, rows, {x, s.in, Transpose::yes}, d, g.dkernel, gates, g.weights_write);
  column_sums(rows, gates, saved.gates, gates, g.dbias, g.weights_write);
  if (g.dx) matmul(rows, s.in, gates, d, {w.kernel, gates, Transpose::yes}, g.dx, s.in, g.dx_write);
}

}  // namespace etude::kernels::cpu
