// Bound by memory: forward reads the logits once (13.8 MB at 96 x 36,011: 4.6 us at 3 TB/s, about
// half that from L2, where the product before has left them), backward reads and writes them (27.6
// MB: 9.2 us, or half). The exponentials, 36,011 an SM, take 1.1 us of the special-function units.
//
// Forward: a block a row, in one pass: each thread keeps the largest logit of its own and the sum
// of exp(l - largest), and corrects the sum where a batch of logits brings a larger one. 96 rows
// leave 36 SMs idle; two blocks a row would fill them and cost scratch and a second kernel (1 us of
// a launch for 1 us gained). The version in two passes (largest, then sum) reads L2 twice: no use.
// Backward: a thread an element, in place or not.
// Measured: not yet, no GPU was at hand.
// Registers: forward 31 on sm_80, 32 on sm_90a (two blocks of 1,024 threads fit an SM); backward 40
// and 32. No spills.

#include "kernels/softmax_cross_entropy.h"

#include <cmath>

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256, kRowThreads = 1024;
constexpr int kBatch = 8;                  // logits of a thread in flight
constexpr float kLowest = -3.4028235e38f;  // -inf would make exp(-inf - -inf) a NaN

// sum of exp(l) = sum * exp(largest)
struct PartialSum {
  float largest = kLowest, sum = 0;
};

// A NaN is no maximum but makes the sum NaN; -inf adds nothing.
__device__ inline void include(PartialSum& partial, const float (&logits)[kBatch]) {
  float largest = partial.largest;
  for (int i = 0; i < kBatch; ++i) largest = fmaxf(largest, logits[i]);
  float sum = partial.sum * expf(partial.largest - largest);
  for (int i = 0; i < kBatch; ++i) sum += expf(logits[i] - largest);
  partial = {largest, sum};
}

__device__ inline PartialSum sum_of_thread(int64_t classes, const float* row) {
  PartialSum partial;
  const int64_t step = blockDim.x;
  for (int64_t j = threadIdx.x; j < classes; j += kBatch * step) {
    float logits[kBatch];
    for (int i = 0; i < kBatch; ++i)
      logits[i] = j + i * step < classes ? row[j + i * step] : -INFINITY;
    include(partial, logits);
  }
  return partial;
}

__global__ void __launch_bounds__(kRowThreads)
    forward(CrossEntropyShape s, const float* logits, const int32_t* targets, float* loss,
            float* log_sum_exp) {
  SIMT_SHARED(float, partials, [kRowThreads / 32]);
  const int64_t i = blockIdx.x;
  const float* row = logits + i * s.classes;
  const PartialSum mine = sum_of_thread(s.classes, row);
  const float largest = block_max(mine.largest, partials);
  const float sum = block_sum(mine.sum * expf(mine.largest - largest), partials);
  if (threadIdx.x != 0) return;
  const float log_of_sum = logf(sum);
  log_sum_exp[i] = largest + log_of_sum;
  // Not log_sum_exp less the logit: where both are large, their small difference would be lost.
  loss[i] = (largest - row[targets[i]]) + log_of_sum;
}

// dlogits may be the logits: a thread reads an element before it writes it, and no other.
__global__ void backward(CrossEntropyShape s, float scale, const float* logits,
                         const int32_t* targets, const float* log_sum_exp, float* dlogits,
                         Write write) {
  for (int64_t i = blockIdx.y; i < s.rows; i += gridDim.y) {
    const int64_t target = targets[i];
    const float lse = log_sum_exp[i];
    for (int64_t j = global_thread(); j < s.classes; j += grid_threads()) {
      const int64_t at = i * s.classes + j;
      const float gradient = scale * expf(logits[at] - lse) - (j == target ? scale : 0.0f);
      dlogits[at] = write == Write::add ? dlogits[at] + gradient : gradient;
    }
  }
}

}  // namespace

void softmax_cross_entropy_forward(const Stream& stream, const CrossEntropyShape& s,
                                   const float* logits, const int32_t* targets, float* loss,
                                   float* log_sum_exp) {
  const int64_t wanted = divide_up(s.classes, 32) * 32;
  const int threads = static_cast<int>(wanted < kRowThreads ? wanted : kRowThreads);
  launch(stream, {"softmax_cross_entropy_forward", {static_cast<int>(s.rows)}, {threads}}, forward,
         s, logits, targets, loss, log_sum_exp);
}

void softmax_cross_entropy_backward(const Stream& stream, const CrossEntropyShape& s, float scale,
                                    const float* logits, const int32_t* targets,
                                    const float* log_sum_exp, float* dlogits, Write write) {
  constexpr int64_t kMostRows = 65535;
  const int64_t rows = s.rows < kMostRows ? s.rows : kMostRows;
  const Extent grid{elementwise_grid(s.classes, kThreads).x, static_cast<int>(rows)};
  launch(stream, {"softmax_cross_entropy_backward", grid, {kThreads}}, backward, s, scale, logits,
         targets, log_sum_exp, dlogits, write);
}

}  // namespace etude::kernels::ETUDE_DEVICE
