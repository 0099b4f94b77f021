// Dense: bound by memory, 28 bytes a parameter. Floor at 3 TB/s and 6.9 M parameters: 64 us (the
// arithmetic, with an exact division and an exact root about 45 instructions an element, is 10 us
// of the device's issue slots). One launch over the flat buffer; four elements a thread keep four
// 16-byte loads in flight.
// Sparse: the moments of all rows (20 bytes a number, 46 us), then the weights of named rows.
// To be tried: __ldcs and __stcs for m and v, which nobody reads before the next update, so that
// weights stay in the L2.
//
// simt and cuda give the same bits, and those of the CPU where its compiler contracts as g++ 12
// does with -march=native on a processor with FMA (nadam_device.h says which products).
// Measured: not yet, no GPU was at hand. Registers (sm_80, sm_90a): dense 48, 48; decay 30, 32;
// move_named 37, 37; no spills.

#include "kernels/nadam.h"

#include "kernels/embedding_device.h"
#include "kernels/nadam_device.h"
#include "kernels/quads.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256;

bool wide_state(const NadamState& p) { return wide_access({p.w, p.g, p.m, p.v}); }

__global__ void dense(int64_t n, const NadamStep* step, NadamState p, bool wide) {
  const NadamStep s = *step;
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads()) {
    const int64_t left = n - i;
    const float4 g = load_quad(p.g + i, left, wide);
    float4 w = load_quad(p.w + i, left, wide), m = load_quad(p.m + i, left, wide),
           v = load_quad(p.v + i, left, wide);
    nadam_quad(s, g, w, m, v);
    store_quad(p.w + i, w, left, wide);
    store_quad(p.m + i, m, left, wide);
    store_quad(p.v + i, v, left, wide);
  }
}

__global__ void decay(int64_t n, const NadamStep* step, NadamState p, bool wide) {
  const NadamStep s = *step;
  for (int64_t i = 4 * global_thread(); i < n; i += 4 * grid_threads()) {
    const int64_t left = n - i;
    const float4 g = load_quad(p.g + i, left, wide);
    float4 m = load_quad(p.m + i, left, wide), v = load_quad(p.v + i, left, wide);
    nadam_moments(s, g.x, m.x, v.x);
    nadam_moments(s, g.y, m.y, v.y);
    nadam_moments(s, g.z, m.z, v.z);
    nadam_moments(s, g.w, m.w, v.w);
    store_quad(p.m + i, m, left, wide);
    store_quad(p.v + i, v, left, wide);
  }
}

// One warp a named row, after decay().
__global__ void move_named(EmbeddingShape table, const int32_t* index, const NadamStep* step,
                           NadamState p) {
  const NadamStep s = *step;
  const SortedIds sorted = sorted_ids(index, table.count);
  for (int64_t k = global_warp(); k < table.count; k += grid_warps()) {
    if (sorted.lengths[k] == 0) continue;
    const int64_t row = sorted.ids[k] * table.dim;
    for (int64_t i = row + lane(); i < row + table.dim; i += 32)
      nadam_move(s, p.g[i], p.m[i], p.v[i], p.w[i]);
  }
}

}  // namespace

void nadam_update(const Stream& stream, int64_t n, const NadamStep* step, const NadamState& state) {
  launch(stream, {"nadam_update", elementwise_grid(divide_up(n, 4), kThreads), {kThreads}}, dense,
         n, step, state, wide_state(state));
}

void nadam_update_sparse(const Stream& stream, const EmbeddingShape& table, const int32_t* index,
                         const NadamStep* step, const NadamState& state) {
  const int64_t n = table.classes * table.dim;
  launch(stream, {"nadam_sparse_decay", elementwise_grid(divide_up(n, 4), kThreads), {kThreads}},
         decay, n, step, state, wide_state(state));
  launch(stream, {"nadam_sparse_move", elementwise_grid(32 * table.count, kThreads), {kThreads}},
         move_named, table, index, step, state);
}

}  // namespace etude::kernels::ETUDE_DEVICE
