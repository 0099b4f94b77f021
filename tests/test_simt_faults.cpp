// Faults planted into kernels, and how the emulation shows them: as wrong results in some schedule
// where a barrier is missing; as an error that names kernel, block and thread otherwise.

#include <sys/wait.h>
#include <unistd.h>

#include <numeric>

#include "kernels/device_functions.h"
#include "tests/simt_faults.h"

using namespace etude;
using namespace etude::tests;

namespace etude::kernels::simt {
namespace {

// Each of these is right without `fault`, and misses one barrier with it.

__global__ void reverse(const float* x, float* y, bool fault) {  // read after write
  SIMT_SHARED(float, tile, [64]);
  const unsigned i = threadIdx.x;
  tile[i] = x[blockIdx.x * 64 + i];
  if (!fault) __syncthreads();
  y[blockIdx.x * 64 + i] = tile[63 - i];
}

__global__ void two_tiles(const float* x, float* y, bool fault) {  // write after read
  SIMT_SHARED(float, tile, [64]);
  const unsigned i = threadIdx.x;
  for (unsigned t = 0; t < 2; ++t) {
    tile[i] = x[t * 64 + i];
    __syncthreads();
    y[t * 64 + i] = tile[63 - i];
    if (!fault) __syncthreads();
  }
}

__global__ void recurrence(const float* x, float* y, bool fault) {  // as a GRU's state
  SIMT_SHARED(float, state, [64]);
  const unsigned i = threadIdx.x;
  state[i] = x[i];
  __syncthreads();
  for (int step = 0; step < 5; ++step) {
    const float next = 0.5f * state[i] + 0.25f * state[(i + 1) % 64];
    if (!fault) __syncthreads();
    state[i] = next;
    __syncthreads();
  }
  y[i] = state[i];
}

__global__ void in_a_warp(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [2][32]);
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  tile[warp][lane] = x[threadIdx.x];
  if (!fault) __syncwarp();
  y[threadIdx.x] = tile[warp][31 - lane];
}

__global__ void copied(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [256]);
  const unsigned i = threadIdx.x;
  cp_async_16(&tile[4 * i], x + 4 * i);
  cp_async_commit();
  if (!fault) cp_async_wait<0>();
  __syncthreads();
  for (unsigned k = 0; k < 4; ++k) y[4 * i + k] = tile[255 - 4 * i - k];
}

// A copy into what others still read.
__global__ void copied_too_early(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [256]);
  const unsigned i = threadIdx.x;
  for (unsigned k = 0; k < 4; ++k) tile[4 * i + k] = x[255 - 4 * i - k];
  __syncthreads();
  float sum = 0;
  for (unsigned k = 0; k < 4; ++k) sum += tile[(4 * i + k + 128) % 256];
  if (!fault) __syncthreads();
  cp_async_16(&tile[4 * i], x + 4 * i);
  cp_async_commit();
  cp_async_wait<0>();
  for (unsigned k = 0; k < 4; ++k) y[4 * i + k] = sum + tile[4 * i + k];
}

__global__ void across_blocks(const float* x, float* y, unsigned* arrived, float* scratch,
                              bool fault) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
  scratch[i] = x[i];
  if (!fault) grid_barrier(arrived);
  y[i] = scratch[n - 1 - i];
}

__global__ void across_a_cluster(const float* x, float* y, bool fault) {
  SIMT_SHARED(float, tile, [32]);
  const unsigned i = threadIdx.x;
  tile[i] = x[blockIdx.x * 32 + i];
  cluster_barrier();
  y[blockIdx.x * 32 + i] = cluster_map(tile, 1 - cluster_rank())[31 - i];
  if (!fault) cluster_barrier();
}

// The last block to arrive sums what the others wrote.
__global__ void last_block(const float* x, float* y, float* partial, unsigned* count, bool fault) {
  SIMT_SHARED(bool, last, [1]);
  partial[blockIdx.x * 32 + threadIdx.x] = x[blockIdx.x * 32 + threadIdx.x];
  if (!fault) __syncthreads();
  if (threadIdx.x == 0) last[0] = atomicAdd(count, 1) == gridDim.x - 1;
  __syncthreads();
  if (!last[0]) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b * 32 + 31 - threadIdx.x];
  y[threadIdx.x] = sum;
}

// Errors.

__global__ void divergent_barrier() {
  if (threadIdx.x < 20)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void skipped_barrier() {
  if (threadIdx.x != 5) __syncthreads();
}
__global__ void left_early(int n) {
  if (static_cast<int>(threadIdx.x) >= n) return;
  __syncthreads();
}
__global__ void divergent_shuffle(float* y) {
  if (threadIdx.x % 2)
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  else
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 2.0f, 1);
}
__global__ void skipped_shuffle(float* y) {
  if (threadIdx.x != 37) y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}
__global__ void foreign_mask() { __syncwarp(0xfffffffeu); }
__global__ void foreign_lane(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 16);
}
__global__ void barrier_against_shuffle() {
  if (threadIdx.x == 3)
    __syncthreads();
  else
    __syncwarp();
}
__global__ void half_a_warps_product(float* y) {
  float c[4] = {};
  mma_tf32(c, {0, 0, 0, 0}, {0, 0});
  y[0] = c[0];
}
__global__ void past_static(int i) {
  SIMT_SHARED(float, tile, [33]);
  float* begin = tile;
  if (threadIdx.x == 7) begin[i] = 1;
}
[[maybe_unused]] __global__ void past_row(int i) {
  SIMT_SHARED(float, tile, [4][8]);
  tile[threadIdx.x][i] = 1;
}
__global__ void past_dynamic(int i) {
  DynamicShared shared;
  auto* first = shared.take<float>(5);
  auto* second = shared.take<float>(10);
  second[0] = 1;
  if (threadIdx.x == 7) first[i] = 1;
}
__global__ void too_much_dynamic() {
  DynamicShared shared;
  shared.take<float>(16);
  shared.take<float>(17)[0] = 1;
}
__global__ void other_pieces() {
  DynamicShared shared;
  shared.take<float>(threadIdx.x < 5 ? 9 : 10);
  __syncthreads();
}
__global__ void too_much_static() {
  SIMT_SHARED(float, large, [13][1024]);
  large[0][0] = 1;
}
__global__ void unwritten(float* y) {
  SIMT_SHARED(float, tile, [32]);
  if (threadIdx.x != 11) tile[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[31 - threadIdx.x];
}
__global__ void misaligned_copy(const float* x) {
  SIMT_SHARED(float, tile, [32]);
  cp_async_16(&tile[4], x + 1);
}
__global__ void copy_past_the_end(const float* x) {
  SIMT_SHARED(float, tile, [30]);
  cp_async_16(&tile[28], x);
}
__global__ void undeclared_in_the_other() {
  SIMT_SHARED(float, tile, [32]);
  cluster_map(tile, 1)[0] = 1;
}
__global__ void no_such_rank() {
  SIMT_SHARED(float, tile, [32]);
  cluster_map(tile, 2)[0] = 1;
}
__global__ void waits_for_ever(unsigned* flag) {
  while (load_acquire(flag) == 0) {
  }
}
[[maybe_unused]] __global__ void past_global(float* y, int n) {
  y[n + static_cast<int>(threadIdx.x) - 31] = 1;
}

}  // namespace
}  // namespace etude::kernels::simt

using namespace etude::kernels;

namespace {

// Runs the kernel that reverses with and without its fault. Another launch after an error works.
bool works() {
  std::vector<float> x(128), y(128);
  std::iota(x.begin(), x.end(), 0.0f);
  if (fault_of(Launch{"reverse", {2}, {64}}, simt::reverse, x.data(), y.data(), false) != "")
    return false;
  for (size_t i = 0; i < 128; ++i)
    if (y[i] != x[i / 64 * 64 + 63 - i % 64]) return false;
  return true;
}

// Right in all schedules as it stands; not in all with its fault.
template <typename Run>
void check_missing_barrier(Run run) {
  alignas(16) float x[256];
  std::iota(std::begin(x), std::end(x), 1.0f);
  const auto result = [&](bool fault) {
    std::vector<float> y(256, -1);
    return run(&x[0], y, fault) == "" ? y : std::vector<float>();
  };
  const std::vector<float> right = result(false);
  REQUIRE(right.size() == 256);
  CHECK(schedules_where([&] { return result(false) == right; }) == kSchedules);
  CHECK(schedules_where([&] { return result(true) == right; }) < kSchedules);
  CHECK(works());
}

template <typename Kernel>
void check_missing_barrier(Kernel* kernel, int threads, int cluster = 1) {
  check_missing_barrier([&](const float* x, std::vector<float>& y, bool fault) {
    Launch shape{"missing_barrier", {cluster}, {threads}};
    shape.cluster = cluster;
    return fault_of(shape, kernel, x, y.data(), fault);
  });
}

template <typename Kernel, typename... Arguments>
void check_error(const char* text, const Launch& shape, Kernel* kernel, Arguments... arguments) {
  for (int schedule = 0; schedule < kSchedules; ++schedule) {
    use_schedule(schedule);
    const std::string fault = fault_of(shape, kernel, arguments...);
    CHECK_CONTAINS(fault, text);
    CHECK_CONTAINS(fault, std::string("kernel ") + shape.name);
    CHECK_CONTAINS(fault, "block (");
    CHECK_CONTAINS(fault, "thread");
    CHECK(works());
  }
  use_schedule(0);
}

}  // namespace

TEST_CASE("a missing __syncthreads: read after write") { check_missing_barrier(simt::reverse, 64); }
TEST_CASE("a missing __syncthreads: write after read") {
  check_missing_barrier(simt::two_tiles, 64);
}
TEST_CASE("a missing __syncthreads: recurrence") { check_missing_barrier(simt::recurrence, 64); }
TEST_CASE("a missing __syncwarp") { check_missing_barrier(simt::in_a_warp, 64); }
TEST_CASE("a cp.async that nobody waits for") { check_missing_barrier(simt::copied, 64); }
TEST_CASE("a cp.async over what others read") { check_missing_barrier(simt::copied_too_early, 64); }
TEST_CASE("a block that leaves its cluster while others read it") {
  check_missing_barrier(simt::across_a_cluster, 32, 2);
}

TEST_CASE("a missing grid barrier") {
  check_missing_barrier([](const float* x, std::vector<float>& y, bool fault) {
    unsigned arrived = 0;
    std::vector<float> scratch(256, -1);
    Launch shape{"across_blocks", {4}, {64}};
    shape.cooperative = true;
    return fault_of(shape, simt::across_blocks, x, y.data(), &arrived, scratch.data(), fault);
  });
}

TEST_CASE("a missing barrier before the last block is found") {
  check_missing_barrier([](const float* x, std::vector<float>& y, bool fault) {
    unsigned count = 0;
    std::vector<float> partial(256, -1);
    return fault_of(Launch{"last_block", {4}, {32}}, simt::last_block, x, y.data(), partial.data(),
                    &count, fault);
  });
}

TEST_CASE("barriers that not all threads reach") {
  check_error("divergent barrier", {"divergent", {2}, {64}}, simt::divergent_barrier);
  check_error("thread (5, 0, 0) has ended without it", {"skipped", {2}, {64}},
              simt::skipped_barrier);
  check_error("waits for ever at __syncthreads of test_simt_faults.cpp", {"left", {2}, {64}},
              simt::left_early, 40);
  check_error("waits at __sync", {"mixed", {1}, {32}}, simt::barrier_against_shuffle);
}

TEST_CASE("warp operations that not all lanes reach") {
  std::vector<float> y(64);
  check_error("divergent warp operation", {"divergent", {1}, {32}}, simt::divergent_shuffle,
              y.data());
  check_error("thread (37, 0, 0) has ended without it", {"skipped", {1}, {64}},
              simt::skipped_shuffle, y.data());
  check_error("its lane 0 is not in the mask", {"foreign", {1}, {32}}, simt::foreign_mask);
  check_error("source lane is not in the mask", {"foreign", {1}, {32}}, simt::foreign_lane,
              y.data());
  check_error("needs a whole warp", {"half", {1}, {16}}, simt::half_a_warps_product, y.data());
}

TEST_CASE("too much shared memory") {
  check_error("takes the bytes 64 to 132 of 128", {"dynamic", {1}, {10}, 128},
              simt::too_much_dynamic);
  check_error("bytes of shared memory where another thread took", {"dynamic", {1}, {10}, 128},
              simt::other_pieces);
  check_error("53248 bytes of static shared memory", {"static", {1}, {1}}, simt::too_much_static);
}

TEST_CASE("clusters that do not wait") {
  Launch shape{"cluster", {4}, {32}};
  shape.cluster = 2;
  check_error("of a cluster of 2", shape, simt::no_such_rank);
  CHECK(schedules_where([&] {
          return contains(fault_of(shape, simt::undeclared_in_the_other),
                          "a cluster_barrier is missing");
        }) > 0);
}

TEST_CASE("copies to and from where they cannot be") {
  alignas(16) float x[8] = {};
  check_error("no multiples of 16", {"copy", {1}, {1}}, simt::misaligned_copy, &x[0]);
  check_error("past the end of shared memory tile of 120 bytes", {"copy", {1}, {1}},
              simt::copy_past_the_end, &x[0]);
}

TEST_CASE("a flag that nobody sets") {
  unsigned flag = 0;
  const auto text = fault_of(Launch{"waits", {2}, {1}}, simt::waits_for_ever, &flag);
  CHECK_CONTAINS(text, "kernel waits: block (0, 0, 0), thread (0, 0, 0): waits for another block");
  CHECK(works());
}

TEST_CASE("shared memory that nobody wrote is NaN") {
  CHECK(schedules_where([] {
          std::vector<float> y(32);
          fault_of(Launch{"unwritten", {1}, {32}}, simt::unwritten, y.data());
          return std::isnan(y[20]) && y[21] == 1;
        }) == kSchedules);
}

TEST_CASE("launches that no GPU would take") {
  const auto refused = [](const Launch& shape) {
    const std::string text = fault_of(shape, simt::foreign_mask);
    CHECK_CONTAINS(text, std::string("kernel ") + shape.name);
    return text;
  };
  CHECK_CONTAINS(refused({"a", {1}, {1025}}), "1025 x 1 x 1 threads");
  CHECK_CONTAINS(refused({"a", {1}, {8, 1, 65}}), "8 x 1 x 65 threads");
  CHECK_CONTAINS(refused({"a", {0}, {1}}), "0 x 1 x 1 blocks");
  CHECK_CONTAINS(refused({"a", {1, 70000}, {1}}), "1 x 70000 x 1 blocks");
  CHECK_CONTAINS(refused({"a", {1}, {1}, 300000}), "300000 bytes");
  CHECK_CONTAINS(refused({"a", {3}, {1}, 0, 2}), "clusters of 2");
  CHECK_CONTAINS(refused({"a", {300}, {1024}, 0, 1, true}), "264 fit at once");
  CHECK(works());
}

#if defined(__SANITIZE_ADDRESS__)

// What the launch prints before AddressSanitizer ends the process.
template <typename... Arguments>
std::string last_words(const Arguments&... launch) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    fault_of(launch...);
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  return text;
}

TEST_CASE("AddressSanitizer ends a kernel that leaves its arrays, and its thread is named") {
  for (const int i : {33, -1}) {
    const auto text = last_words(Launch{"past_static", {2}, {32}}, simt::past_static, i);
    CHECK_CONTAINS(text, "kernel past_static: block (0, 0, 0), thread (7, 0, 0)");
    CHECK_CONTAINS(text, "AddressSanitizer");
    CHECK_CONTAINS(text, "test_simt_faults.cpp");
  }
  const auto row = last_words(Launch{"past_row", {1}, {3}}, simt::past_row, 8);
  CHECK_CONTAINS(row, "kernel past_row: block (0, 0, 0), thread (0, 0, 0)");
  CHECK_CONTAINS(row, "index 8 out of bounds");
  CHECK_CONTAINS(last_words(Launch{"past_dynamic", {2}, {32}, 80}, simt::past_dynamic, 5),
                 "kernel past_dynamic: block (0, 0, 0), thread (7, 0, 0)");
  const Stream stream = open_stream(Device::simt);
  auto* y = static_cast<float*>(allocate(stream, 100 * sizeof(float)));
  CHECK_CONTAINS(last_words(Launch{"past_global", {1}, {32}}, simt::past_global, y, 101),
                 "kernel past_global: block (0, 0, 0), thread (30, 0, 0)");
  release(stream, y);
  close_stream(stream);
}

#else

TEST_CASE("a write past a piece of shared memory is found when the block ends") {
  check_error("past the end of its shared memory tile of 132 bytes", {"past_static", {2}, {32}},
              simt::past_static, 33);
  check_error("before the begin of its shared memory tile", {"past_static", {2}, {32}},
              simt::past_static, -1);
  check_error("past the end of its shared memory (dynamic) of 20 bytes",
              {"past_dynamic", {2}, {32}, 80}, simt::past_dynamic, 5);
}

#endif
