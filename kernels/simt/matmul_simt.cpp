// What stands in for cuBLAS on the emulated device: oneDNN's product of operands that are rounded
// as the tensor cores would. Not a kernel of ours, so there is nothing to prove about it.

#include <vector>

#include "kernels/costs.h"
#include "kernels/matmul.h"
#include "kernels/simt/simt.h"

namespace etude::kernels {
namespace {

float rounded(float x, Precision precision) {
  if (precision == Precision::tf32) return simt::__uint_as_float(simt::to_tf32(x));
  return simt::to_float(simt::to_bf16(x));
}

// op(view) is [rows, columns]; gives the same matrix with rounded numbers.
MatrixView round(MatrixView view, int64_t rows, int64_t columns, Precision precision,
                 std::vector<float>& memory) {
  if (precision == Precision::fp32) return view;
  if (view.transpose == Transpose::yes) std::swap(rows, columns);
  memory.resize(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      memory[static_cast<size_t>(i * columns + j)] =
          rounded(view.data[i * view.stride + j], precision);
  return {memory.data(), columns, view.transpose};
}

}  // namespace

namespace simt {

void matmul(const Stream& stream, int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b,
            float* c, int64_t c_stride, Write write, float scale) {
  matmul_batched(stream, 1, {}, m, n, k, a, b, c, c_stride, write, scale);
}

void matmul_batched(const Stream& stream, int64_t count, const BatchStrides& strides, int64_t m,
                    int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
                    Write write, float scale) {
  const PartSpan span("matmul", cost::matmul(m, n, k, count));
  emulator::submit_host(stream, [=, precision = stream.precision] {
    std::vector<float> rounded_a, rounded_b;
    for (int64_t i = 0; i < count; ++i) {
      const MatrixView left{a.data + i * strides.a, a.stride, a.transpose};
      const MatrixView right{b.data + i * strides.b, b.stride, b.transpose};
      cpu::matmul(m, n, k, round(left, m, k, precision, rounded_a),
                  round(right, k, n, precision, rounded_b), c + i * strides.c, c_stride, write,
                  scale);
    }
  });
}

}  // namespace simt
}  // namespace etude::kernels
