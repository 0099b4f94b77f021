// The emulation of CUDA threads: barriers, warps, shared memory, grids, clusters, streams. What it
// finds wrong is in test_simt_faults.cpp.

#include <algorithm>
#include <numeric>

#include "kernels/device_functions.h"
#include "tests/simt_faults.h"

using namespace etude;
using namespace etude::tests;

namespace etude::kernels::simt {
namespace {

__global__ void write_indices(int* out) {
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  int* mine = out + 6 * (block * threads + thread);
  const unsigned all[6] = {threadIdx.x, threadIdx.y, threadIdx.z,
                           blockIdx.x,  blockIdx.y,  blockIdx.z};
  for (int i = 0; i < 6; ++i) mine[i] += static_cast<int>(all[i]) + 1;
}

// out[kind][lane] = the lane read from.
__global__ void shuffle_all(int distance, int width, int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const unsigned all = 0xffffffffu, by = static_cast<unsigned>(distance);
  out[lane] = __shfl_sync(all, lane, distance, width);
  out[32 + lane] = __shfl_xor_sync(all, lane, distance, width);
  out[64 + lane] = __shfl_up_sync(all, lane, by, width);
  out[96 + lane] = __shfl_down_sync(all, lane, by, width);
}

__global__ void vote(unsigned* out) {
  const unsigned i = threadIdx.x;
  unsigned* mine = out + 4 * i;
  mine[0] = __ballot_sync(0xffffffffu, i % 3 == 0);
  mine[1] = static_cast<unsigned>(__any_sync(0xffffffffu, i == 33));
  mine[2] = static_cast<unsigned>(__all_sync(0xffffffffu, i < 32));
  // Groups of four lanes, each with a mask of its own, in a loop of its own length.
  const unsigned group = i % 32 / 4, mask = 0xfu << 4 * group;
  unsigned sum = i;
  for (unsigned round = 0; round <= group; ++round) sum = __shfl_xor_sync(mask, sum, 1) + 1;
  // Half a warp meets while the other half waits for the whole.
  double half = i;
  if (i % 32 < 16 && i < 32) half += __shfl_xor_sync(0xffffu, half, 15);
  __syncwarp();
  mine[3] = sum * 1000 + static_cast<unsigned>(half);
}

__global__ void count(unsigned* counters, float* sum) {
  atomicAdd(&counters[0], 1);
  atomicMax(&counters[1], threadIdx.x);
  atomicMin(&counters[2], threadIdx.x + 7);
  atomicOr(&counters[3], 1u << threadIdx.x % 32);
  atomicInc(&counters[4], 9);
  atomicSub(&counters[5], 2);
  atomicXor(&counters[6], threadIdx.x);
  atomicAnd(&counters[7], ~(1u << threadIdx.x % 5));
  atomicAdd(sum, 0.5f);
  while (atomicCAS(&counters[8], 0, 1) != 0) {  // a lock
  }
  const unsigned before = counters[9];
  __syncwarp(1u << threadIdx.x % 32);
  counters[9] = before + 1;
  atomicExch(&counters[8], 0);
}

template <int N>
__global__ void several_pieces(int n, int64_t* out) {
  SIMT_SHARED(float, first, [N]);
  SIMT_SHARED(double, second, [3][N]);
  DynamicShared shared;
  auto* bytes = shared.take<unsigned char>(n);
  auto* words = shared.take<int>(n);
  const auto i = static_cast<int>(threadIdx.x);
  if (i < N) first[i] = static_cast<float>(i);
  if (i < N) second[2][i] = i;
  bytes[i] = static_cast<unsigned char>(i);
  words[i] = i;
  __syncthreads();
  out[i] = static_cast<int64_t>(first[i % N] + static_cast<float>(second[2][(i + 1) % N])) +
           bytes[n - 1 - i] + words[i / 2];
}

// Every block adds its neighbour's number of the round before.
__global__ void around(int rounds, unsigned* arrived, int* numbers) {
  const unsigned block = blockIdx.y * gridDim.x + blockIdx.x;
  const unsigned blocks = gridDim.x * gridDim.y;
  for (int round = 0; round < rounds; ++round) {
    const int next = numbers[(block + 1) % blocks];
    grid_barrier(arrived);
    if (threadIdx.x == 0) numbers[block] += next;
    grid_barrier(arrived);
  }
}

// Sums over a cluster through the shared memory of its blocks; two clusters meet by the grid.
__global__ void cluster_sums(unsigned* arrived, int* out) {
  SIMT_SHARED(int, before, [5]);
  SIMT_SHARED(int, mine, [32]);
  if (threadIdx.x == 0) before[0] = 1;
  mine[threadIdx.x] = static_cast<int>(100 * blockIdx.x + threadIdx.x);
  cluster_barrier();
  int sum = 0;
  for (unsigned rank = 0; rank < 4; ++rank) sum += cluster_map(mine, rank)[threadIdx.x];
  cluster_barrier();
  out[blockIdx.x * 32 + threadIdx.x] = sum * 10 + static_cast<int>(cluster_rank());
  grid_barrier(arrived);
  if (threadIdx.x == 0) out[256 + blockIdx.x] = out[(blockIdx.x + 4) % 8 * 32];
}

// Two stages in flight, of four floats each; the last is cut short, the rest of it zero.
__global__ void stage(const float* x, float* y, int n) {
  SIMT_SHARED(float, ring, [2][32 * 4]);
  const auto i = static_cast<int>(threadIdx.x);
  for (int s = 0; s < 2; ++s) {
    cp_async_16(&ring[s][4 * i], x + (s * 32 + i) * 4);
    cp_async_commit();
  }
  for (int s = 0; s < n; ++s) {
    cp_async_wait<1>();
    __syncthreads();
    for (int k = 0; k < 4; ++k) y[(s * 32 + i) * 4 + k] = ring[s % 2][(4 * i + 4 + k) % 128];
    __syncthreads();
    const int bytes = s + 3 == n ? 8 : 16;
    if (s + 2 < n) cp_async_16(&ring[s % 2][4 * i], x + ((s + 2) * 32 + i) * 4, bytes);
    cp_async_commit();
  }
}

template <bool Half>
__global__ void multiply(const float* a, const float* b, float* c) {
  const int group = static_cast<int>(threadIdx.x) / 4, member = static_cast<int>(threadIdx.x) % 4;
  uint32_t fa[4], fb[2];
  float fc[4] = {1, 1, 1, 1};
  if constexpr (Half) {
    const auto pair = [](const float* p, int stride) { return pack_bf16(p[0], p[stride]); };
    for (int i = 0; i < 4; ++i)
      fa[i] = pair(&a[(group + i % 2 * 8) * 16 + 2 * member + i / 2 * 8], 1);
    for (int i = 0; i < 2; ++i) fb[i] = pair(&b[(2 * member + 8 * i) * 8 + group], 8);
    mma_bf16(fc, fa, fb);
  } else {
    for (int i = 0; i < 4; ++i) fa[i] = to_tf32(a[(group + i % 2 * 8) * 8 + member + i / 2 * 4]);
    for (int i = 0; i < 2; ++i) fb[i] = to_tf32(b[(member + 4 * i) * 8 + group]);
    mma_tf32(fc, fa, fb);
  }
  for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + member * 2 + i % 2] = fc[i];
}

__global__ void record_order(unsigned* next, unsigned* order) {
  order[atomicAdd(next, 1)] = blockIdx.x * 64 + threadIdx.x;
  __syncthreads();
  order[atomicAdd(next, 1)] = blockIdx.x * 64 + threadIdx.x;
}

__global__ void add_one(int* x) { x[threadIdx.x] += 1; }

}  // namespace
}  // namespace etude::kernels::simt

using namespace etude::kernels;

TEST_CASE("indices of blocks and threads in three dimensions") {
  for (const Extent block : {Extent{5, 3, 2}, Extent{64, 1, 1}, Extent{1, 7, 9}}) {
    const Extent grid{3, 2, 4};
    const int threads = block.x * block.y * block.z;
    std::vector<int> out(static_cast<size_t>(24 * threads * 6));
    REQUIRE(fault_of(Launch{"indices", grid, block}, simt::write_indices, out.data()) == "");
    for (int i = 0; i < 24 * threads; ++i) {
      const int t = i % threads, b = i / threads;
      const std::vector<int> want = {t % block.x + 1,
                                     t / block.x % block.y + 1,
                                     t / block.x / block.y + 1,
                                     b % 3 + 1,
                                     b / 3 % 2 + 1,
                                     b / 6 + 1};
      CHECK(std::equal(want.begin(), want.end(), out.begin() + 6 * i));
    }
  }
}

// PTX's description of shfl: mode, then the source lane.
int source_lane(int mode, int lane, int b, int width) {
  const int segment_mask = 32 - width;  // ((32 - width) << 8) of the third operand
  const int clamp = mode == 2 ? 0 : 31;
  const int highest = (lane & segment_mask) | (clamp & ~segment_mask);
  int j = 0;
  bool valid = false;
  if (mode == 0) j = (lane & segment_mask) | (b & 31 & ~segment_mask), valid = j <= highest;
  if (mode == 1) j = lane ^ (b & 31), valid = j <= highest;
  if (mode == 2) j = lane - (b & 31), valid = j >= highest;
  if (mode == 3) j = lane + (b & 31), valid = j <= highest;
  return valid ? j : lane;
}

TEST_CASE("shuffles read the lane that PTX says, at every width and distance") {
  for (const int width : {1, 2, 4, 8, 16, 32})
    for (int distance = 0; distance < 32; ++distance) {
      std::vector<int> out(128);
      const Launch shape{"shuffle", {1}, {32}};
      REQUIRE(fault_of(shape, simt::shuffle_all, distance, width, out.data()) == "");
      for (int i = 0; i < 128; ++i)
        CHECK(out[static_cast<size_t>(i)] == source_lane(i / 32, i % 32, distance, width));
    }
}

TEST_CASE("votes and masks, in a block that ends within a warp") {
  CHECK(schedules_where([] {
          std::vector<unsigned> out(4 * 40);
          if (fault_of(Launch{"vote", {1}, {40}}, simt::vote, out.data()) != "") return false;
          for (unsigned i = 0; i < 40; ++i) {
            const unsigned ballot = i < 32 ? 0x49249249u : 0x92u;  // 33, 36, 39: bits 1, 4, 7
            if (out[4 * i] != ballot || out[4 * i + 1] != (i >= 32) || out[4 * i + 2] != (i < 32))
              return false;
            const unsigned rounds = i % 32 / 4 + 1;
            const unsigned sum = (rounds % 2 ? i ^ 1 : i) + rounds;
            const unsigned half = i < 16 ? 15 : i;
            if (out[4 * i + 3] != sum * 1000 + half) return false;
          }
          return true;
        }) == kSchedules);
}

TEST_CASE("atomics") {
  CHECK(schedules_where([] {
          std::vector<unsigned> n = {0, 0, 99, 0, 0, 0, 0, ~0u, 0, 0};
          float sum = 0;
          if (fault_of(Launch{"count", {3}, {40}}, simt::count, n.data(), &sum) != "") return false;
          unsigned once = 0;
          for (unsigned i = 0; i < 40; ++i) once ^= i;
          return n == std::vector<unsigned>{120, 39, 7, ~0u, 0, 0u - 240, once, ~31u, 0, 120} &&
                 sum == 60;
        }) == kSchedules);
}

TEST_CASE("pieces of static and dynamic shared memory") {
  using simt::DynamicShared;
  const auto check = [](auto kernel, int n, int pieces) {
    std::vector<int64_t> out(static_cast<size_t>(n));
    const int64_t bytes = DynamicShared::bytes<unsigned char>(n) + DynamicShared::bytes<int>(n);
    REQUIRE(fault_of(Launch{"pieces", {2}, {n}, bytes}, kernel, n, out.data()) == "");
    for (int i = 0; i < n; ++i)
      CHECK(out[static_cast<size_t>(i)] == i % pieces + (i + 1) % pieces + n - 1 - i + i / 2);
  };
  check(simt::several_pieces<5>, 33, 5);
  check(simt::several_pieces<17>, 100, 17);
}

TEST_CASE("blocks of a grid meet, also when their counter has gone round") {
  CHECK(schedules_where([] {
          std::vector<int> numbers = {1, 2, 3, 4, 5, 6};
          std::vector<int> want = numbers;
          unsigned arrived = 0;
          for (int launch = 0; launch < 2; ++launch) {
            Launch shape{"around", {3, 2}, {33}};
            shape.cooperative = true;
            if (fault_of(shape, simt::around, 3, &arrived, numbers.data()) != "") return false;
            for (int round = 0; round < 3; ++round) {
              const std::vector<int> before = want;
              for (size_t i = 0; i < 6; ++i) want[i] += before[(i + 1) % 6];
            }
          }
          return numbers == want && arrived == 0;  // twelve barriers: six times round
        }) == kSchedules);
}

TEST_CASE("clusters read one another's shared memory") {
  CHECK(schedules_where([] {
          std::vector<int> out(256 + 8);
          unsigned arrived = 0;
          Launch shape{"cluster_sums", {8}, {32}};
          shape.cluster = 4;
          shape.cooperative = true;
          if (fault_of(shape, simt::cluster_sums, &arrived, out.data()) != "") return false;
          for (int i = 0; i < 256; ++i) {
            const int block = i / 32, first = block / 4 * 4;
            if (out[static_cast<size_t>(i)] != (400 * first + 600 + 4 * (i % 32)) * 10 + block % 4)
              return false;
          }
          for (size_t b = 0; b < 8; ++b)
            if (out[256 + b] != out[(b + 4) % 8 * 32]) return false;
          return true;
        }) == kSchedules);
}

TEST_CASE("copies in groups behind the thread's back") {
  static constexpr int kStages = 5;
  alignas(16) static float x[kStages * 128];
  std::iota(std::begin(x), std::end(x), 1.0f);
  CHECK(schedules_where([&] {
          std::vector<float> y(kStages * 128);
          if (fault_of(Launch{"stage", {1}, {32}}, simt::stage, &x[0], y.data(), kStages) != "")
            return false;
          for (size_t i = 0; i < y.size(); ++i) {
            const size_t s = i / 128, k = (i + 4) % 128;
            const bool cut = s == kStages - 1 && k % 4 >= 2;
            if (y[i] != (cut ? 0.0f : x[s * 128 + k])) return false;
          }
          return true;
        }) == kSchedules);
}

TEST_CASE("the tensor core's product") {
  for (const bool half : {false, true}) {
    const size_t depth = half ? 16 : 8;
    std::vector<float> a(16 * depth), b(depth * 8), c(128);
    std::iota(a.begin(), a.end(), -50.0f);
    std::iota(b.begin(), b.end(), -30.0f);
    const auto kernel = half ? simt::multiply<true> : simt::multiply<false>;
    REQUIRE(fault_of(Launch{"multiply", {1}, {32}}, kernel, a.data(), b.data(), c.data()) == "");
    for (size_t i = 0; i < 16; ++i)
      for (size_t j = 0; j < 8; ++j) {
        float want = 1;
        for (size_t k = 0; k < depth; ++k) want += a[i * depth + k] * b[k * 8 + j];
        CHECK(c[i * 8 + j] == want);
      }
  }
}

TEST_CASE("rounding to the tensor core's operands") {
  using namespace etude::kernels::simt;
  const auto tf32 = [](float x) { return __uint_as_float(to_tf32(x)); };
  CHECK(tf32(1 + 0x1p-11f) == 1 + 0x1p-10f);  // ties away from zero
  CHECK(tf32(-1 - 0x1p-11f) == -1 - 0x1p-10f);
  CHECK(tf32(1 + 0x1p-12f) == 1);
  CHECK(std::isinf(tf32(3.4028235e38f)));
  CHECK(std::isnan(tf32(std::nanf(""))));
  CHECK(unpack_bf16_low(pack_bf16(1 + 0x1p-8f, 0)) == 1);  // ties to even
  CHECK(unpack_bf16_high(pack_bf16(0, 1 + 0x3p-8f)) == 1 + 0x1p-6f);
  CHECK(to_float(to_bf16(-3.5f)) == -3.5f);
  CHECK(std::isnan(to_float(to_bf16(std::nanf("")))));
  CHECK(std::isinf(to_float(to_bf16(std::numeric_limits<float>::infinity()))));
}

TEST_CASE("a seed decides the order of threads, and the same one gives the same") {
  std::vector<std::vector<unsigned>> orders;
  for (int twice = 0; twice < 2; ++twice)
    for (int schedule = 0; schedule < kSchedules; ++schedule) {
      use_schedule(schedule);
      std::vector<unsigned> order(256);
      unsigned next = 0;
      REQUIRE(fault_of(Launch{"order", {2}, {64}}, simt::record_order, &next, order.data()) == "");
      orders.push_back(order);
    }
  use_schedule(0);
  for (size_t i = 0; i < kSchedules; ++i) {
    CHECK(orders[i] == orders[i + kSchedules]);
    for (size_t k = 0; k < i; ++k) CHECK(orders[i] != orders[k]);
    std::vector<unsigned> all = orders[i];
    std::sort(all.begin(), all.end());
    for (unsigned t = 0; t < 256; ++t) CHECK(all[t] == t / 2);
  }
}

TEST_CASE("streams: work is recorded and replayed, and what a device refuses then") {
  const Stream stream = open_stream(Device::simt);
  auto* x = static_cast<int*>(allocate(stream, 64 * sizeof(int)));
  clear(stream, x, 64 * sizeof(int));
  begin_capture(stream);
  simt::launch(stream, {"add_one", {1}, {64}}, simt::add_one, x);
  CHECK_THROWS_AS(allocate(stream, 1), DeviceError);
  CHECK_THROWS_AS(synchronize(stream), DeviceError);
  Graph graph = end_capture(stream);
  std::vector<int> got(64, -1);
  const auto read = [&] { copy_to_host(stream, got.data(), x, 64 * sizeof(int)); };
  read();
  CHECK(got == std::vector<int>(64, 0));
  for (int i = 0; i < 3; ++i) replay(stream, graph);
  read();
  CHECK(got == std::vector<int>(64, 3));
  release(stream, graph);
  release(stream, x);
  close_stream(stream);
}
