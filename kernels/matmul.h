#pragma once

// Matrix product through oneDNN's sgemm: c = scale op(a) op(b) (+ c). Called outside a parallel
// region it uses all threads, inside one it uses the calling thread alone. Cost: 2 m n k FLOPs; at
// least 4 (m k + k n + m n) bytes.

#include "kernels/types.h"

namespace etude::kernels {

enum class Transpose { no, yes };

// A row-major matrix as it lies in memory: `stride` numbers from one row to the next.
struct MatrixView {
  const float* data;
  int64_t stride;
  Transpose transpose = Transpose::no;
};

namespace cpu {

// c [m, n] with rows `c_stride` apart; op(a) [m, k], op(b) [k, n]. Write::add adds to c. With
// precision() bf16 the operands are rounded, but for products of fewer than 4 M multiplications,
// which would lose by it, and where Sizes::vary: each size has code of its own, generated at its
// first product.
enum class Sizes { stay, vary };
void matmul(int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
            Write write, float scale = 1.0f, Sizes sizes = Sizes::stay);

// sums[j] (+)= sum over i of x[i, j], in an order that does not depend on the number of threads.
void column_sums(int64_t rows, int64_t columns, const float* x, int64_t stride, float* sums,
                 Write write);

}  // namespace cpu
}  // namespace etude::kernels

// Through cuBLAS on the GPU, in the stream's precision. `batched`: `count` products, each with
// operands so many numbers behind those of the one before.
namespace etude::kernels {

struct BatchStrides {
  int64_t a, b, c;
};

}  // namespace etude::kernels

// clang-format off
ETUDE_ON_DEVICE(
void matmul(const Stream& stream, int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b,
            float* c, int64_t c_stride, Write write, float scale = 1.0f);
void matmul_batched(const Stream& stream, int64_t count, const BatchStrides& strides, int64_t m,
                    int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
                    Write write, float scale = 1.0f);
// Our own kernel; the sums of any number of rows in a fixed order.
void column_sums(const Stream& stream, int64_t rows, int64_t columns, const float* x,
                 int64_t stride, float* sums, Write write);
)
// clang-format on
