// Input projections and weight gradients are large matrix products. The recurrence is ours: batch
// rows do not depend on one another, so a task takes a tile of rows through all time steps without
// waiting for anybody, its recurrent weights packed so that the three gates of a unit lie side by
// side and the gate arithmetic follows in registers.

#include "kernels/gru.h"

#include <algorithm>
#include <vector>

#include "kernels/costs.h"
#include "kernels/gru_stepwise.h"
#include "kernels/matmul.h"
#include "kernels/panel.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {
namespace {

constexpr int64_t kTileRows = 24;  // a panel (24 KB at 128 units) is reused from the first cache

// Forward: a panel is one vector of units, its three gates.
constexpr int kForwardRows = kRegisters / 4;
using GatePanelRow = PanelRow<3>;

// Backward: a panel is several vectors of units.
constexpr int kBackwardRows = 6;
constexpr int kBackwardVectors = kRegisters / 8;
using UnitPanelRow = PanelRow<kBackwardVectors>;

int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }

// [unit block][k]: the weights from state k to the z, r, g of kLanes units; 0 past the last unit.
std::vector<GatePanelRow> pack_gates(const GruShape& s, const float* recurrent_kernel) {
  std::vector<GatePanelRow> packed(blocks(s.units, kLanes) * s.units);
  parallel_tasks(blocks(s.units, kLanes), [&](int64_t block) {
    const int64_t unit = block * kLanes;
    for (int64_t k = 0; k < s.units; ++k)
      for (int gate = 0; gate < 3; ++gate)
        packed[block * s.units + k].v[gate] =
            load(recurrent_kernel + (3 * k + gate) * s.units + unit, s.units - unit);
  });
  return packed;
}

// [unit block][k]: the transposed weights from gate k (of 3 units) back to the states.
std::vector<UnitPanelRow> pack_states(const GruShape& s, const float* recurrent_kernel) {
  constexpr int64_t width = kBackwardVectors * kLanes;
  std::vector<UnitPanelRow> packed(blocks(s.units, width) * 3 * s.units);
  parallel_tasks(blocks(s.units, width), [&](int64_t block) {
    for (int64_t k = 0; k < 3 * s.units; ++k) {
      float column[width] = {};
      for (int64_t u = 0; u < std::min(width, s.units - block * width); ++u)
        column[u] = recurrent_kernel[(block * width + u) * 3 * s.units + k];
      for (int j = 0; j < kBackwardVectors; ++j)
        packed[block * 3 * s.units + k].v[j] = load(column + j * kLanes);
    }
  });
  return packed;
}

// Rows of the saved arrays: the place of (batch row, step).
struct Rows {
  const GruShape& s;
  const GruSaved& saved;
  const DistinctRows* distinct;
  int64_t window_time(int64_t step) const { return s.reverse ? s.time - 1 - step : step; }
  int64_t at(int64_t row, int64_t step) const { return row * s.time + window_time(step); }
  float* gates(int64_t row, int64_t step) const {
    return saved.gates + at(row, step) * 3 * s.units;
  }
  // x W of the step: where the gates will stand, or the projection of the row that it reads.
  const float* projected(int64_t row, int64_t step) const {
    return distinct ? saved.projection + distinct->place[at(row, step)] * 3 * s.units
                    : gates(row, step);
  }
  float* candidate(int64_t row, int64_t step) const {
    return saved.candidate + at(row, step) * s.units;
  }
  float* previous(int64_t row, int64_t step) const {
    return saved.previous + at(row, step) * s.units;
  }
  // Where the output of a step stands in y or dy; null where it has none.
  template <typename T>
  T* output(T* y, int64_t stride, int64_t row, int64_t step) const {
    if (!s.last_only) return y + at(row, step) * stride;
    return step == s.time - 1 ? y + row * stride : nullptr;
  }
};

struct Output {
  float* y;
  int64_t stride;
};

// One step of kRows rows and one vector of units; `kWhole` promises that all its lanes are units.
template <int kRows, bool kWhole>
void forward_block(const Rows& rows, const GruWeights& w, const GatePanelRow* panel, int64_t row,
                   int64_t step, int64_t unit, const Output& out) {
  const GruShape& s = rows.s;
  // A row's next gates lie a step away, where no hardware prefetcher looks for them; the product
  // below is long enough to fetch them behind it.
  for (int i = 0; i < kRows && step + 1 < s.time; ++i)
    for (int gate = 0; gate < 3; ++gate)
      __builtin_prefetch(rows.projected(row + i, step + 1) + gate * s.units + unit);

  Vec sums[kRows][3] = {};
  multiply_panel<kRows, 3>(sums, rows.previous(row, step), s.time * s.units, s.units, panel);

  const int64_t lanes = kWhole ? kLanes : s.units - unit;
  const auto bias = [&](const float* b, int gate) {
    return load(b + gate * s.units + unit, lanes);
  };
  const Vec bias_z = bias(w.bias, 0) + bias(w.recurrent_bias, 0);
  const Vec bias_r = bias(w.bias, 1) + bias(w.recurrent_bias, 1);
  const Vec bias_g = bias(w.bias, 2), recurrent_bias_g = bias(w.recurrent_bias, 2);
  for (int i = 0; i < kRows; ++i) {
    float* gates = rows.gates(row + i, step) + unit;
    const float* projected = rows.projected(row + i, step) + unit;
    const Vec z = sigmoid(load(projected, lanes) + sums[i][0] + bias_z);
    const Vec r = sigmoid(load(projected + s.units, lanes) + sums[i][1] + bias_r);
    const Vec candidate = sums[i][2] + recurrent_bias_g;
    const Vec g = tanh(load(projected + 2 * s.units, lanes) + bias_g + r * candidate);
    const Vec previous = load(rows.previous(row + i, step) + unit, lanes);
    const Vec state = g + z * (previous - g);
    store(gates, z, lanes);
    store(gates + s.units, r, lanes);
    store(gates + 2 * s.units, g, lanes);
    store(rows.candidate(row + i, step) + unit, candidate, lanes);
    if (step + 1 < s.time) store(rows.previous(row + i, step + 1) + unit, state, lanes);
    if (float* y = rows.output(out.y, out.stride, row + i, step)) store(y + unit, state, lanes);
  }
}

template <bool kWhole>
void forward_units(const Rows& rows, const GruWeights& w, const GatePanelRow* panel, int64_t begin,
                   int64_t end, int64_t step, int64_t unit, const Output& out) {
  int64_t row = begin;
  for (; row + kForwardRows <= end; row += kForwardRows)
    forward_block<kForwardRows, kWhole>(rows, w, panel, row, step, unit, out);
  for (; row < end; ++row) forward_block<1, kWhole>(rows, w, panel, row, step, unit, out);
}

void forward_tile(const Rows& rows, const GruWeights& w, const std::vector<GatePanelRow>& packed,
                  int64_t begin, int64_t end, const Output& out) {
  const GruShape& s = rows.s;
  for (int64_t row = begin; row < end; ++row) std::fill_n(rows.previous(row, 0), s.units, 0.0f);
  for (int64_t step = 0; step < s.time; ++step) {
    for (int64_t unit = 0; unit < s.units; unit += kLanes) {
      const GatePanelRow* panel = packed.data() + unit / kLanes * s.units;
      if (unit + kLanes <= s.units)
        forward_units<true>(rows, w, panel, begin, end, step, unit, out);
      else
        forward_units<false>(rows, w, panel, begin, end, step, unit, out);
    }
  }
}

// The gradients of one vector of one row's gates, in place of the gates and the candidate. `carry`
// comes in as the gradient that the later steps sent back and leaves as dh z, the part that skips
// the gates.
template <bool kWhole>
void backward_gates(const Rows& rows, int64_t row, int64_t step, int64_t unit, const float* dy,
                    float* carry) {
  const int64_t units = rows.s.units;
  const int64_t lanes = kWhole ? kLanes : units - unit;
  float* gates = rows.gates(row, step) + unit;
  float* candidates = rows.candidate(row, step) + unit;
  Vec dh = load(carry + unit, lanes);
  if (dy) dh += load(dy + unit, lanes);
  const Vec z = load(gates, lanes);
  const Vec r = load(gates + units, lanes);
  const Vec g = load(gates + 2 * units, lanes);
  const Vec candidate = load(candidates, lanes);
  const Vec previous = load(rows.previous(row, step) + unit, lanes);
  const Vec dz = dh * (previous - g) * z * (1.0f - z);
  const Vec dg = dh * (1.0f - z) * (1.0f - g * g);
  const Vec dr = dg * candidate * r * (1.0f - r);
  store(gates, dz, lanes);
  store(gates + units, dr, lanes);
  store(gates + 2 * units, dg, lanes);
  store(candidates, dg * r, lanes);
  store(carry + unit, dh * z, lanes);
}

void backward_row(const Rows& rows, int64_t row, int64_t step, const float* dy, float* carry) {
  int64_t unit = 0;
  for (; unit + kLanes <= rows.s.units; unit += kLanes)
    backward_gates<true>(rows, row, step, unit, dy, carry);
  if (unit < rows.s.units) backward_gates<false>(rows, row, step, unit, dy, carry);
}

// carry += (dz, dr, dg r) R^T for kRows rows and one panel of units.
template <int kRows>
void backward_block(const Rows& rows, const UnitPanelRow* panel, int64_t row, int64_t step,
                    int64_t unit, float* carry) {
  const GruShape& s = rows.s;
  Vec sums[kRows][kBackwardVectors] = {};
  multiply_panel<kRows, kBackwardVectors>(sums, rows.gates(row, step), s.time * 3 * s.units,
                                          2 * s.units, panel);
  multiply_panel<kRows, kBackwardVectors>(sums, rows.candidate(row, step), s.time * s.units,
                                          s.units, panel + 2 * s.units);
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kBackwardVectors && unit + j * kLanes < s.units; ++j) {
      const int64_t lanes = s.units - unit - j * kLanes;
      float* c = carry + i * s.units + unit + j * kLanes;
      store(c, load(c, lanes) + sums[i][j], lanes);
    }
  }
}

struct OutputGradient {
  const float* dy;
  int64_t stride;
};

void backward_tile(const Rows& rows, const std::vector<UnitPanelRow>& packed, int64_t begin,
                   int64_t end, const OutputGradient& out) {
  const GruShape& s = rows.s;
  constexpr int64_t width = kBackwardVectors * kLanes;
  std::vector<float> carry((end - begin) * s.units, 0.0f);
  const auto carry_of = [&](int64_t row) { return carry.data() + (row - begin) * s.units; };
  for (int64_t step = s.time - 1; step >= 0; --step) {
    for (int64_t row = begin; row < end; ++row)
      backward_row(rows, row, step, rows.output(out.dy, out.stride, row, step), carry_of(row));
    if (step == 0) break;  // the state before the first step is a constant
    for (int64_t unit = 0; unit < s.units; unit += width) {
      const UnitPanelRow* panel = packed.data() + unit / width * 3 * s.units;
      int64_t row = begin;
      for (; row + kBackwardRows <= end; row += kBackwardRows)
        backward_block<kBackwardRows>(rows, panel, row, step, unit, carry_of(row));
      for (; row < end; ++row) backward_block<1>(rows, panel, row, step, unit, carry_of(row));
    }
  }
}

void recurrent_gradients(const GruShape& s, const GruSaved& saved, const GruGradients& g) {
  const int64_t steps = s.batch * s.time, h = s.units;
  const PartSpan span("recurrent gradients", cost::matmul(h, 3 * h, steps));
  const MatrixView previous = {saved.previous, h, Transpose::yes};
  matmul(h, 2 * h, steps, previous, {saved.gates, 3 * h}, g.drecurrent_kernel, 3 * h,
         g.weights_write);
  matmul(h, h, steps, previous, {saved.candidate, h}, g.drecurrent_kernel + 2 * h, 3 * h,
         g.weights_write);
}

// The biases of z and r come by two names.
void bias_gradients(const GruShape& s, int64_t rows, const float* dgates, const GruSaved& saved,
                    const GruGradients& g) {
  const int64_t steps = s.batch * s.time, h = s.units;
  std::vector<float> sums(3 * h);
  column_sums(rows, 3 * h, dgates, 3 * h, sums.data(), Write::overwrite);
  for (int64_t k = 0; k < 3 * h; ++k)
    g.dbias[k] = sums[k] + (g.weights_write == Write::add ? g.dbias[k] : 0.0f);
  for (int64_t k = 0; k < 2 * h; ++k)
    g.drecurrent_bias[k] = sums[k] + (g.weights_write == Write::add ? g.drecurrent_bias[k] : 0.0f);
  column_sums(steps, h, saved.candidate, h, g.drecurrent_bias + 2 * h, g.weights_write);
}

}  // namespace

void gru_forward(const GruShape& s, const GruWeights& w, const GruInput& input, float* y,
                 int64_t y_stride, const GruSaved& saved) {
  if (s.version == GruVersion::stepwise)
    return gru_stepwise_forward(s, w, input.x, y, y_stride, saved);
  const int64_t rows_read = input.distinct ? input.distinct->count : s.batch * s.time;
  const Sizes sizes = input.distinct ? Sizes::vary : Sizes::stay;
  {
    const PartSpan span("input product", cost::matmul(rows_read, 3 * s.units, s.in));
    matmul(rows_read, 3 * s.units, s.in, {input.x, s.in}, {w.kernel, 3 * s.units},
           input.distinct ? saved.projection : saved.gates, 3 * s.units, Write::overwrite, 1.0f,
           sizes);
  }
  const PartSpan span("recurrence", cost::gru_recurrence(s));
  const auto packed = pack_gates(s, w.recurrent_kernel);
  const Rows rows{s, saved, input.distinct};
  parallel_ranges(s.batch, kTileRows, [&](int64_t begin, int64_t end) {
    forward_tile(rows, w, packed, begin, end, {y, y_stride});
  });
}

void gru_backward(const GruShape& s, const GruWeights& w, const GruInput& input, const float* dy,
                  int64_t dy_stride, const GruSaved& saved, const GruGradients& g) {
  if (s.version == GruVersion::stepwise)
    return gru_stepwise_backward(s, w, input.x, dy, dy_stride, saved, g);
  {
    const PartSpan span("recurrence", cost::gru_recurrence(s));
    const auto packed = pack_states(s, w.recurrent_kernel);
    const Rows rows{s, saved, input.distinct};
    parallel_ranges(s.batch, kTileRows, [&](int64_t begin, int64_t end) {
      backward_tile(rows, packed, begin, end, {dy, dy_stride});
    });
  }
  recurrent_gradients(s, saved, g);
  const int64_t rows_read = input.distinct ? input.distinct->count : s.batch * s.time;
  const Sizes sizes = input.distinct ? Sizes::vary : Sizes::stay;
  const float* dgates = saved.gates;
  if (input.distinct) {
    const PartSpan span("sums of rows", cost::sum_rows(rows_read, s.batch * s.time, 3 * s.units));
    sum_rows(*input.distinct, 3 * s.units, saved.gates, saved.projection, Write::overwrite);
    dgates = saved.projection;
  }
  {
    const PartSpan span("kernel gradients", cost::matmul(s.in, 3 * s.units, rows_read));
    bias_gradients(s, rows_read, dgates, saved, g);
    matmul(s.in, 3 * s.units, rows_read, {input.x, s.in, Transpose::yes}, {dgates, 3 * s.units},
           g.dkernel, 3 * s.units, g.weights_write, 1.0f, sizes);
  }
  const PartSpan span("input gradient", cost::matmul(rows_read, s.in, 3 * s.units));
  if (g.dx)
    matmul(rows_read, s.in, 3 * s.units, {dgates, 3 * s.units},
           {w.kernel, 3 * s.units, Transpose::yes}, g.dx, s.in, g.dx_write, 1.0f, sizes);
}

}  // namespace etude::kernels::cpu
