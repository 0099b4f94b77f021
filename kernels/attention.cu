// Attention on a device: q = x Wa by a matrix product; scores, weights and the weighted sum in one
// kernel, attention_{simple,tiled}.cu; backward the same kernels' other half, attention_window.cu
// where it fits, then dWa = x^T dq and dx += dq Wa^T by products, and the sum of dba's parts.
// The [T, T] weights are never in memory: of each row the logarithm of its sum is kept.
//
// Floor at the paper's sizes (B 96, T 50, F 256, one head) on an H100: an array of B T F floats is
// 4.9 MB, and stays in L2. Forward touches 2 in the product and 3 in the kernel, backward 5 in the
// kernel and 5 in the products: at 5 TB/s out of L2 about 15 us for both, of which the products
// (3 of 0.63 GFLOP, 5 us at 130 TFLOP/s of TF32 each bound by their 75 tiles) are the larger part.
//
// Dropout behind it, as in the models, the window version makes itself: forward where it writes y,
// backward where it reads dy. A Philox block for four elements is about 70 instructions, of which a
// thread makes 16 in either: 2,300 issue slots of a scheduler's two warps, some 1.2 us, backward in
// the shade of the loads. Dropout's own kernel is a launch and 3.3 us (dropout.cu). The other
// versions have it around theirs: the tiled backward needs y as it was before.
// Measured: not yet, no GPU was at hand.

#include "kernels/attention.h"

#include "kernels/attention_versions.h"
#include "kernels/matmul.h"
#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kSumThreads = 256;

__global__ void sum_parts(int64_t parts, const float* from, float* to, Write write) {
  SIMT_SHARED(float, partial, [kSumThreads / 32]);
  const float* mine = from + blockIdx.x * parts;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < parts; i += kSumThreads) sum += mine[i];
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) to[blockIdx.x] = write == Write::add ? to[blockIdx.x] + sum : sum;
}

bool simple(const AttentionShape& s) {
  return s.version == AttentionVersion::simple || !attention_tiled_fits(s);
}

// Of dba, a batch row and head; a version that needs fewer leaves the rest alone.
int64_t parts(const AttentionShape& s) {
  return simple(s) ? s.time : divide_up(s.time, kAttentionTile);
}

int64_t dim(const AttentionShape& s) { return s.features / s.heads; }

void multiply(const Stream& stream, int64_t count, const BatchStrides& strides, int64_t m,
              int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
              Write write) {
  if (count == 1)  // for which cuBLAS may know better kernels
    matmul(stream, m, n, k, a, b, c, c_stride, write);
  else
    matmul_batched(stream, count, strides, m, n, k, a, b, c, c_stride, write);
}

// By head: c [batch time, dim] (+)= a [batch time, dim] op(wa), all of them slices of rows.
void multiply_heads(const Stream& stream, const AttentionShape& s, const float* a, const float* wa,
                    Transpose transpose, float* c, Write write) {
  multiply(stream, s.heads, {dim(s), dim(s) * dim(s), dim(s)}, s.batch * s.time, dim(s), dim(s),
           {a, s.features}, {wa, dim(s), transpose}, c, s.features, write);
}

bool window(const Stream& stream, const AttentionShape& s) {
  return !simple(s) && s.version != AttentionVersion::tiled && attention_window_fits(stream, s);
}

int64_t elements(const AttentionShape& s) { return s.batch * s.time * s.features; }

void run_forward(const Stream& stream, const AttentionShape& s,
                 const AttentionForwardArrays& arrays) {
  if (simple(s))
    attention_forward_simple(stream, s, arrays);
  else
    attention_forward_tiled(stream, s, arrays);
}

void run_backward(const Stream& stream, const AttentionShape& s,
                  const AttentionBackwardArrays& arrays) {
  if (simple(s))
    attention_backward_simple(stream, s, arrays);
  else if (window(stream, s))
    attention_backward_window(stream, s, arrays);
  else
    attention_backward_tiled(stream, s, arrays);
}

// Whether dropout's own kernels are needed: y before it is then saved, and dy behind it scratch.
bool apart(const Stream& stream, const AttentionShape& s, const DropoutMask& dropout) {
  return dropout.rate > 0 && !window(stream, s);
}

}  // namespace

int64_t attention_saved(const Stream& stream, const AttentionShape& s, const DropoutMask& dropout) {
  const int64_t arrays = apart(stream, s, dropout) ? 2 : 1;
  return arrays * elements(s) + s.batch * s.heads * s.time;
}

int64_t attention_scratch(const Stream& stream, const AttentionShape& s,
                          const DropoutMask& dropout) {
  const int64_t arrays = apart(stream, s, dropout) ? 2 : 1;
  return arrays * elements(s) + s.batch * s.heads * parts(s);
}

void attention_forward(const Stream& stream, const AttentionShape& s, const AttentionWeights& w,
                       const DropoutMask& dropout, const float* x, float* y, float* saved) {
  multiply_heads(stream, s, x, w.wa, Transpose::no, saved, Write::overwrite);
  const int64_t count = elements(s);
  if (apart(stream, s, dropout)) {
    float* whole = saved + count;
    run_forward(stream, s, {x, saved, w.ba, whole, saved + 2 * count, {}});
    dropout_forward(stream, count, dropout.rate, dropout.key, whole, y);
  } else {
    run_forward(stream, s, {x, saved, w.ba, y, saved + count, dropout});
  }
}

void attention_backward(const Stream& stream, const AttentionShape& s, const AttentionWeights& w,
                        const DropoutMask& dropout, const float* x, const float* y, const float* dy,
                        float* saved, float* scratch, const AttentionGradients& g) {
  const int64_t count = elements(s);
  float *dquery = scratch, *dba_parts = scratch + count;
  if (apart(stream, s, dropout)) {
    float* dropped = scratch + count;
    dba_parts += count;
    dropout_backward(stream, count, dropout.rate, dropout.key, dy, dropped, Write::overwrite);
    run_backward(stream, s,
                 {x,
                  saved,
                  w.ba,
                  saved + 2 * count,
                  saved + count,
                  dropped,
                  g.dx,
                  g.dx_write,
                  dquery,
                  dba_parts,
                  {}});
  } else {
    run_backward(
        stream, s,
        {x, saved, w.ba, saved + count, y, dy, g.dx, g.dx_write, dquery, dba_parts, dropout});
  }
  launch(stream, {"attention_sum_dba", {static_cast<int>(s.heads)}, {kSumThreads}}, sum_parts,
         s.batch * parts(s), dba_parts, g.dba, g.dba_write);
  multiply(stream, s.heads, {dim(s), dim(s), dim(s) * dim(s)}, dim(s), dim(s), s.batch * s.time,
           {x, s.features, Transpose::yes}, {dquery, s.features}, g.dwa, dim(s), g.dwa_write);
  multiply_heads(stream, s, dquery, w.wa, Transpose::yes, g.dx, Write::add);
}

}  // namespace etude::kernels::ETUDE_DEVICE
