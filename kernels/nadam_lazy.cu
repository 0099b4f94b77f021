// On MAESTRO-100 (V 41,736; 1,600 minibatches of 4,800 ids, second epoch): 1,850 rows a minibatch,
// which have missed 3.7 steps on average, 97 % of them at most 16, the one that missed most 35.
//
// Update: 1.9 MB of gradients, 24 bytes a number of the named rows: 6.4 MB, floor 2.1 us, and about
// 2 us of dependent loads (length, position, gradient, row). Dense: 101 MB, 33 us, and the 14.4 MB
// of gradients written besides.
// Catch-up: 4.4 MB, 6,800 steps of rows, bound by latency and arithmetic: a replayed step is 30
// instructions an element, in a chain of about 130 cycles (exact root, exact division; the next
// step's scalars are loaded meanwhile; without that, 190). Floor 1.5 us; with the chains an
// estimated 3 us (35 steps). One thread an element: four, as in the dense kernel, would make a
// chain four times as long.
// Flush: 86 MB and, where every row has been named, all the arithmetic that the dense update would
// have done: 29 us and 3.3 us a step, so every 64 steps an estimated 4 us a step.
// Another division was tried and given up: a slice of the table in every step, which spreads the
// flush, but costs a launch and 650 rows a step, and leaves rows behind for evaluation all the
// same. Measured: not yet, no GPU was at hand. Registers (sm_80, sm_90a): update 52, 52 (any dim:
// 48, 56); catch_up 48, 48; flush 44, 44; begin 29, 29; no spills.

#include "kernels/nadam_lazy.h"

#include "kernels/embedding_sum.h"
#include "kernels/nadam_device.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 128;  // a block handles a row
constexpr int64_t kFlushBlocks = 132 * 16;

// The steps that the row has done, and from now on counts as having done `goal`: the caller is the
// one block that replays them. -1 where there is nothing to do, or another block does it.
__device__ int32_t claim(const NadamLazyTable& t, int64_t row, int64_t goal) {
  const int32_t done = t.last[row];
  if (done < 0 || done >= goal) return -1;
  return atomicCAS(t.last + row, done, static_cast<int32_t>(goal)) == done ? done : -1;
}

// By one block; every thread calls. Nobody reads the row before the launch is over.
__device__ void bring_up(const NadamLazyTable& t, int64_t row, int64_t goal) {
  SIMT_SHARED(int32_t, claimed, [1]);
  if (threadIdx.x == 0) claimed[0] = claim(t, row, goal);
  __syncthreads();
  const int64_t done = claimed[0];
  __syncthreads();  // before the next claim
  if (done < 0) return;
  for (int64_t i = row * t.columns + threadIdx.x; i < (row + 1) * t.columns; i += kThreads) {
    float w = t.w[i], m = t.m[i], v = t.v[i];
    NadamStep now = t.scalars[done];
    for (int64_t step = done; step < goal; ++step) {
      const NadamStep next = t.scalars[step + 1 < goal ? step + 1 : step];  // loaded meanwhile
      nadam_element(now, 0.0f, w, m, v);
      now = next;
    }
    t.w[i] = w;
    t.m[i] = m;
    t.v[i] = v;
  }
}

// One warp a row. By bits: -0 is not yet at rest.
__global__ void begin(NadamLazyTable t) {
  for (int64_t row = global_warp(); row < t.rows; row += grid_warps()) {
    unsigned bits = 0;
    for (int64_t i = row * t.columns + lane(); i < (row + 1) * t.columns; i += 32)
      bits |= __float_as_uint(t.m[i]) | __float_as_uint(t.v[i]);
    const bool moves = __any_sync(0xffffffffu, bits != 0);
    if (lane() == 0) t.last[row] = moves ? 0 : -1;
  }
}

// One block an id, of which the first to come claims the row.
__global__ void catch_up(NadamLazyTable t, const int32_t* ids) {
  bring_up(t, ids[blockIdx.x], *t.cursor);
}

__global__ void flush(NadamLazyTable t) {
  for (int64_t row = blockIdx.x; row < t.rows; row += gridDim.x) bring_up(t, row, *t.cursor);
}

// What sum_rows() does with a row's gradient.
struct UpdateRow {
  NadamLazyTable t;
  NadamStep step;
  int32_t done;  // with this step
  bool wide;
  __device__ float4 start(int64_t, int64_t, int64_t) const { return make_float4(0, 0, 0, 0); }
  __device__ void finish(int64_t row, int64_t column, int64_t left, float4 g) const {
    const int64_t i = row * t.columns + column;
    float4 w = load_quad(t.w + i, left, wide), m = load_quad(t.m + i, left, wide),
           v = load_quad(t.v + i, left, wide);
    nadam_quad(step, g, w, m, v);
    store_quad(t.w + i, w, left, wide);
    store_quad(t.m + i, m, left, wide);
    store_quad(t.v + i, v, left, wide);
    if (column == 0) t.last[row] = done;
  }
};

template <bool Wide>
__global__ void update(NadamLazyTable t, int64_t count, const int32_t* index, const float* dy) {
  const int64_t done = *t.cursor;
  const UpdateRow row{t, t.scalars[done], static_cast<int32_t>(done + 1), Wide};
  sum_rows<Wide>(sorted_ids(index, count), dy, t.columns, row);
}

int blocks(int64_t count) { return static_cast<int>(count); }

}  // namespace

void nadam_lazy_begin(const Stream& stream, const NadamLazyTable& t) {
  launch(stream, {"nadam_lazy_begin", elementwise_grid(32 * t.rows, kThreads), {kThreads}}, begin,
         t);
}

void nadam_lazy_catch_up(const Stream& stream, const NadamLazyTable& t, int64_t count,
                         const int32_t* ids) {
  launch(stream, {"nadam_lazy_catch_up", {blocks(count)}, {kThreads}}, catch_up, t, ids);
}

void nadam_lazy_update(const Stream& stream, const NadamLazyTable& t, int64_t count,
                       const int32_t* index, const float* dy) {
  const bool wide = t.columns % 4 == 0 && wide_access({t.w, t.m, t.v, dy});
  launch(stream, {"nadam_lazy_update", sum_grid(count), {kSumThreads}},
         wide ? update<true> : update<false>, t, count, index, dy);
}

void nadam_lazy_flush(const Stream& stream, const NadamLazyTable& t) {
  launch(stream,
         {"nadam_lazy_flush", {blocks(t.rows < kFlushBlocks ? t.rows : kFlushBlocks)}, {kThreads}},
         flush, t);
}

}  // namespace etude::kernels::ETUDE_DEVICE
