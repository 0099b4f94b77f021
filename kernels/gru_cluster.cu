// The GRU's recurrence for more units than one SM's registers hold weights of: a cluster of blocks
// shares one batch tile (8 rows) of one direction, and each block owns some of the units. After a
// step it writes what the others need of them, h or the gates' gradients, rounded and in fragment
// order, into every block's shared memory; one cluster barrier a step, two buffers by turns. Within
// a block, warps that own the same 16 units share out the sum over the units before, and add their
// parts through shared memory (one __syncthreads more).
//
//   units      to 128   to 256   to 512
//   tf32       2        4        16 blocks, which no GPU must support (more than 8) but H100 does
//   bf16       2        4        8
//
// tf32 and bf16 alone: in fp32 a block of 64 units would need 1500 clocks a step for its FMAs.
// Bound at 256 units, 96 batch rows (24 clusters, 96 SMs), a step and SM: 384 mma (tf32) or 192, as
// in gru_mma.cu, and the barrier, whose release is a MEMBAR.ALL.GPU and whose acquire empties the
// L1 cache (seen in the machine code): several hundred clocks. Expected 1 us a step. Measured: not
// yet, no GPU was at hand. At 512 units 24 clusters of 8 or 16 do not run at once.
// Next to try: st.async with a transaction barrier in each block instead of the cluster's, which
// needs no fence; more batch rows a cluster at 512 units.
//
// The loads of `projected` are another candidate: among the products, for registers there are none
// to have them a step ahead, so part of their latency shows; cp.async would hide it.
//
// Bias gradients are summed in shared memory, a place a thread: 8 registers are not to be had.
// Registers on sm_90a (on sm_80 the kernels are compiled but never run), forward and backward:
// tf32 158, 177; 246, 250; 252, 252; bf16 128, 127; 232, 221; 255, 255. Spills: at 512 units in
// bf16, 32 and 4 bytes, before the loop over steps.

#include "kernels/simt/simt.h"

#include "kernels/gru_fragments.h"
#include "kernels/gru_pairs.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// How a cluster shares out its units, padded to a power of two.
template <int Padded, int Cluster>
struct Shares {
  static constexpr int kOwn = Padded / Cluster;      // units of a block
  static constexpr int kGroups = kOwn / kWarpUnits;  // of them, one m each
  static constexpr int kSplits = kWarps / kGroups;   // warps that share a group's sums
  static constexpr int kSummed = Padded / kSplits;   // units that a warp sums over
  static constexpr int kRow = kOwn + 4;              // of partial sums: other banks for each pair
  static constexpr int kPartial = kBatchTile * kRow;
};

// Where a thread stands: in the products, and, after them, with one batch row and a pair of units.
template <int Padded, int Cluster>
struct Place {
  using S = Shares<Padded, Cluster>;
  int rank, warp, lane;
  __device__ Place()
      : rank(static_cast<int>(cluster_rank())),
        warp(static_cast<int>(threadIdx.x) / 32),
        lane(static_cast<int>(threadIdx.x) % 32) {}
  __device__ int split() const { return warp / S::kGroups; }
  // Of the block's own units: the first of this thread's two rows of a product.
  __device__ int row() const { return warp % S::kGroups * kWarpUnits + lane / 4 * 2; }

  __device__ int batch_row() const { return warp; }
  __device__ int pair() const { return 2 * lane; }  // of the block's own units
  __device__ int unit() const { return rank * S::kOwn + pair(); }
};

// The thread's part of a product's result, for a sum with the other splits'.
template <typename S>
__device__ inline void store_partial(float* partial, int row, int member, const float (&c)[4]) {
#pragma unroll
  for (int j = 0; j < 2; ++j)
    *reinterpret_cast<float2*>(partial + (2 * member + j) * S::kRow + row) =
        make_float2(c[j], c[2 + j]);
}

// A pair's sum over the splits, in their order.
template <typename S>
__device__ inline void add_partials(const float* partial, int stride, int batch_row, int pair,
                                    float (&sum)[2]) {
#pragma unroll
  for (int split = 0; split < S::kSplits; ++split) {
    const float2 x = load_pair(partial + split * stride + batch_row * S::kRow + pair);
    sum[0] += x.x;
    sum[1] += x.y;
  }
}

// Into every block's shared memory. Not unrolled where blocks are many: their addresses would take
// the registers that the weights are in.
template <Precision precision, int Cluster>
__device__ inline void share_operand(uint4* operand, int unit, int batch_row, const float (&x)[2]) {
#pragma unroll(Cluster > 4 ? 1 : Cluster)
  for (int rank = 0; rank < Cluster; ++rank)
    store_operand<precision>(cluster_map(operand, static_cast<unsigned>(rank)), unit, batch_row,
                             x[0], x[1]);
}

__device__ inline float2 load_pair_if(bool there, const float* from) {
  return there ? load_pair(from) : make_float2(0, 0);
}

__device__ inline void clear_chunks(uint4* chunks, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads)
    chunks[i] = make_uint4(0, 0, 0, 0);
}

// ---- Forward

template <int Padded, int Cluster, Precision precision>
constexpr int64_t forward_shared() {
  using S = Shares<Padded, Cluster>;
  return DynamicShared::bytes<uint4>(2 * chunks_of<precision>(Padded)) +
         DynamicShared::bytes<float>(kBiases * S::kOwn) +
         DynamicShared::bytes<float>(S::kSplits * 3 * S::kPartial);
}

template <int Padded, int Cluster, Precision precision>
__global__ void __launch_bounds__(kThreads, 1) forward(GruRecurrence recurrence) {
  using S = Shares<Padded, Cluster>;
  constexpr int kChunks = chunks_of<precision>(Padded);
  constexpr int kSummedChunks = chunks_of<precision>(S::kSummed);
  const Tile t = tile_of<0>(recurrence, static_cast<int>(blockIdx.x) / Cluster);
  const Place<Padded, Cluster> place;
  const Lane lane = fragment_lane();
  DynamicShared shared;
  uint4* states = shared.take<uint4>(2 * kChunks);
  float* biases = shared.take<float>(kBiases * S::kOwn);
  float* partials = shared.take<float>(S::kSplits * 3 * S::kPartial);
  clear_chunks(states, 2 * kChunks);

  Weights<S::kSummed, precision> weights;
  load_weights<S::kSummed, precision>(weights, [&](int gate, int i, int k) {
    const int unit = place.rank * S::kOwn + place.row() + i;
    const int from = place.split() * S::kSummed + k;
    return unit < t.units && from < t.units ? t.recurrent_kernel[(from * 3 + gate) * t.units + unit]
                                            : 0.0f;
  });
  const int unit = place.unit(), row = place.batch_row();
  const bool gates = place.pair() < S::kOwn, there = gates && unit < t.units && row < t.rows;
  float h[2] = {};
  for (int i = static_cast<int>(threadIdx.x); i < kBiases * S::kOwn; i += kThreads) {
    const int of = place.rank * S::kOwn + i % S::kOwn;
    biases[i] = of < t.units ? t.bias_of(i / S::kOwn, of) : 0;
  }
  cluster_barrier();  // everybody's states are zeros, and nobody's shared memory is yet to come

  const int mine = place.split() * kSummedChunks + chunk_place(lane.group, lane.member);
  for (int step = 0; step < t.time; ++step) {
    float2 projected[3];
#pragma unroll
    for (int gate = 0; gate < 3; ++gate)
      projected[gate] =
          load_pair_if(there, t.projected + (t.step_row(row, step) * 3 + gate) * t.units + unit);
    const uint4* state = states + step % 2 * kChunks;
    float c[3][4] = {};
#pragma unroll
    for (int chunk = 0; chunk < kSummedChunks / 32; ++chunk) {
      const uint4 b = state[chunk * 32 + mine];
#pragma unroll
      for (int gate = 0; gate < 3; ++gate)
        multiply_chunk<precision>(c[gate], weights[gate][chunk], b);
    }
#pragma unroll
    for (int gate = 0; gate < 3; ++gate)
      store_partial<S>(partials + (place.split() * 3 + gate) * S::kPartial, place.row(),
                       lane.member, c[gate]);
    __syncthreads();
    Gates s;
    if (gates) {
      float sums[3][2];
#pragma unroll
      for (int gate = 0; gate < 3; ++gate) {
        const float2 bias = load_pair(biases + gate * S::kOwn + place.pair());
        sums[gate][0] = bias.x;
        sums[gate][1] = bias.y;
        add_partials<S>(partials + gate * S::kPartial, 3 * S::kPartial, row, place.pair(),
                        sums[gate]);
      }
      projected[2] = add_pairs(projected[2], load_pair(biases + 3 * S::kOwn + place.pair()));
      s = gates_of<precision>(sums, projected, h);
      if (step + 1 < t.time)
        share_operand<precision, Cluster>(states + (step + 1) % 2 * kChunks, unit, row, h);
    }
    cluster_barrier();
    if (!there) continue;
    save<true>(t.saved + t.step_row(row, step) * 5 * t.units, unit, t.units, s);
    if (t.has_output(step)) store_pair<true>(t.y + t.output(row, step), unit, t.units, h);
  }
}

// ---- Backward

template <int Padded, int Cluster, Precision precision>
constexpr int64_t backward_shared() {
  using S = Shares<Padded, Cluster>;
  return DynamicShared::bytes<uint4>(2 * 3 * chunks_of<precision>(Padded)) +
         DynamicShared::bytes<float>(S::kSplits * S::kPartial) +
         DynamicShared::bytes<float>(4 * kBatchTile * S::kOwn);
}

__device__ inline void load_step(const Tile& t, bool there, int row, int step, int unit,
                                 float2 (&in)[6]) {
  there = there && step >= 0;
#pragma unroll
  for (int part = 0; part < 5; ++part)
    in[part] = load_pair_if(there, t.saved + (t.step_row(row, step) * 5 + part) * t.units + unit);
  in[5] = load_pair_if(there && t.has_output(step), t.dy + t.output(row, step) + unit);
}

// The bias gradients of one batch row and pair of units, summed over steps: a place in shared
// memory [4, kBatchTile, own units] that is this thread's alone, for registers there are none.
template <int Own>
__device__ inline void add_to_sums(float* sums, const Gradients& d) {
  const auto add = [&](int n, const float(&x)[2]) {
    float2* sum = reinterpret_cast<float2*>(sums + n * kBatchTile * Own);
    *sum = make_float2(sum->x + x[0], sum->y + x[1]);
  };
  add(0, d.z);
  add(1, d.r);
  add(2, d.g);
  add(3, d.candidate);
}

// Over the tile's rows; those that there are not have gradients of 0.
template <int Own>
__device__ inline void store_bias_parts(const GruRecurrence& r, const Tile& t, int first_unit,
                                        const float* sums) {
  float* part = bias_part(r, t);
  for (int i = static_cast<int>(threadIdx.x); i < 4 * Own; i += kThreads) {
    const int n = i / Own, unit = i % Own;
    float sum = 0;
#pragma unroll
    for (int row = 0; row < kBatchTile; ++row) sum += sums[(n * kBatchTile + row) * Own + unit];
    if (first_unit + unit < t.units) part[n * t.units + first_unit + unit] = sum;
  }
}

template <int Padded, int Cluster, Precision precision>
__global__ void __launch_bounds__(kThreads, 1) backward(GruRecurrence recurrence) {
  using S = Shares<Padded, Cluster>;
  constexpr int kChunks = chunks_of<precision>(Padded);
  constexpr int kSummedChunks = chunks_of<precision>(S::kSummed);
  const Tile t = tile_of<0>(recurrence, static_cast<int>(blockIdx.x) / Cluster);
  const Place<Padded, Cluster> place;
  const Lane lane = fragment_lane();
  DynamicShared shared;
  uint4* operands = shared.take<uint4>(2 * 3 * kChunks);
  float* partials = shared.take<float>(S::kSplits * S::kPartial);
  float* bias_sums = shared.take<float>(4 * kBatchTile * S::kOwn);
  for (int i = static_cast<int>(threadIdx.x); i < 4 * kBatchTile * S::kOwn; i += kThreads)
    bias_sums[i] = 0;

  Weights<S::kSummed, precision> weights;
  load_weights<S::kSummed, precision>(weights, [&](int gate, int i, int k) {
    const int unit = place.rank * S::kOwn + place.row() + i;
    const int from = place.split() * S::kSummed + k;
    return unit < t.units && from < t.units ? t.recurrent_kernel[(unit * 3 + gate) * t.units + from]
                                            : 0.0f;
  });
  const int unit = place.unit(), row = place.batch_row();
  const bool gates = place.pair() < S::kOwn, there = gates && unit < t.units && row < t.rows;
  cluster_barrier();  // nobody's shared memory is yet to come

  const int mine = place.split() * kSummedChunks + chunk_place(lane.group, lane.member);
  float dh[2] = {};
  float2 in[6];
  load_step(t, there, row, t.time - 1, unit, in);
  for (int step = t.time - 1; step >= 0; --step) {
    uint4* operand = operands + step % 2 * 3 * kChunks;
    const Gradients d = gradients_of(in, dh);
    if (gates && step > 0) {
      share_operand<precision, Cluster>(operand, unit, row, d.z);
      share_operand<precision, Cluster>(operand + kChunks, unit, row, d.r);
      share_operand<precision, Cluster>(operand + 2 * kChunks, unit, row, d.candidate);
    }
    cluster_barrier();
    load_step(t, there, row, step - 1, unit, in);
    if (there) save<true>(t.saved + t.step_row(row, step) * 5 * t.units, unit, t.units, d);
    if (gates) add_to_sums<S::kOwn>(bias_sums + row * S::kOwn + place.pair(), d);
    if (step == 0) continue;
    float c[3][4] = {};
#pragma unroll
    for (int chunk = 0; chunk < kSummedChunks / 32; ++chunk)
#pragma unroll
      for (int gate = 0; gate < 3; ++gate)
        multiply_chunk<precision>(c[gate], weights[gate][chunk],
                                  operand[gate * kChunks + chunk * 32 + mine]);
#pragma unroll
    for (int i = 0; i < 4; ++i) c[0][i] += c[1][i] + c[2][i];
    store_partial<S>(partials + place.split() * S::kPartial, place.row(), lane.member, c[0]);
    __syncthreads();
    if (gates) add_partials<S>(partials, S::kPartial, row, place.pair(), dh);
  }
  __syncthreads();
  if (recurrence.bias_parts)
    store_bias_parts<S::kOwn>(recurrence, t, place.rank * S::kOwn, bias_sums);
}

// ---- Launches

struct Version {
  void (*kernel)(GruRecurrence);
  int64_t shared_bytes;
  int cluster;
};

template <int Padded, int Cluster, Precision precision>
Version version_of(bool is_forward) {
  if (is_forward)
    return {forward<Padded, Cluster, precision>, forward_shared<Padded, Cluster, precision>(),
            Cluster};
  return {backward<Padded, Cluster, precision>, backward_shared<Padded, Cluster, precision>(),
          Cluster};
}

template <Precision precision>
Version version_of_units(int64_t units, bool is_forward) {
  // 512 units in tf32: as many weights as the registers of 16 blocks hold.
  constexpr int kMost = precision == Precision::tf32 ? 16 : 8;
  return units <= 128   ? version_of<128, 2, precision>(is_forward)
         : units <= 256 ? version_of<256, 4, precision>(is_forward)
                        : version_of<512, kMost, precision>(is_forward);
}

Version version_for(const Stream& stream, int64_t units, bool is_forward) {
  return stream.precision == Precision::tf32 ? version_of_units<Precision::tf32>(units, is_forward)
                                             : version_of_units<Precision::bf16>(units, is_forward);
}

Launch shape(const char* name, const Version& version, int64_t batch) {
  const int tiles = static_cast<int>(divide_up(batch, kBatchTile));
  return {.name = name,
          .grid = {tiles * version.cluster, 2},
          .block = {kThreads},
          .shared_bytes = version.shared_bytes,
          .cluster = version.cluster};
}

void launch_version(const Stream& stream, const char* name, const GruRecurrence& r,
                    bool is_forward) {
  const Version version = version_for(stream, r.units, is_forward);
  launch(stream, shape(name, version, r.batch), version.kernel, r);
}

// Clusters of more than 8 want that many free SMs in one GPC, which a GPU need not have.
bool can_run(const Stream& stream, int64_t units, bool is_forward) {
  const Version version = version_for(stream, units, is_forward);
  return version.cluster <= 8 ||
         resident_clusters(stream, shape("gru_cluster", version, 1),
                           reinterpret_cast<const void*>(version.kernel)) > 0;
}

}  // namespace

bool gru_cluster_fits(const Stream& stream, int64_t units) {
  return has_clusters() && stream.precision != Precision::fp32 && units % kWarpUnits == 0 &&
         units <= 512 && can_run(stream, units, true) && can_run(stream, units, false);
}

int64_t gru_cluster_parts(int64_t batch) { return divide_up(batch, kBatchTile); }

void gru_cluster_forward(const Stream& stream, const GruRecurrence& r) {
  launch_version(stream, "gru_cluster_forward", r, true);
}

void gru_cluster_backward(const Stream& stream, const GruRecurrence& r) {
  launch_version(stream, "gru_cluster_backward", r, false);
}

}  // namespace etude::kernels::ETUDE_DEVICE
