// One warp and one instruction: not for speed, but for tests/test_kernel_mma.cpp.

#include "kernels/mma_check.h"

#include "kernels/simt/simt.h"

namespace etude::kernels::ETUDE_DEVICE {
namespace {

// Element i of the thread's part of c.
__device__ inline float& element(float* c, int i) {
  const int group = static_cast<int>(threadIdx.x) / 4, member = static_cast<int>(threadIdx.x) % 4;
  return c[(group + i / 2 * 8) * 8 + 2 * member + i % 2];
}

__global__ void tf32(const float* a, const float* b, float* c) {
  const int group = static_cast<int>(threadIdx.x) / 4, member = static_cast<int>(threadIdx.x) % 4;
  uint32_t of_a[4], of_b[2];
  float of_c[4];
  for (int i = 0; i < 4; ++i) {
    of_a[i] = to_tf32(a[(group + i % 2 * 8) * 8 + member + i / 2 * 4]);
    of_c[i] = element(c, i);
  }
  for (int i = 0; i < 2; ++i) of_b[i] = to_tf32(b[(member + 4 * i) * 8 + group]);
  mma_tf32(of_c, of_a, of_b);
  for (int i = 0; i < 4; ++i) element(c, i) = of_c[i];
}

__global__ void bf16(const float* a, const float* b, float* c) {
  const int group = static_cast<int>(threadIdx.x) / 4, member = static_cast<int>(threadIdx.x) % 4;
  uint32_t of_a[4], of_b[2];
  float of_c[4];
  for (int i = 0; i < 4; ++i) {
    const float* pair = a + (group + i % 2 * 8) * 16 + 2 * member + i / 2 * 8;
    of_a[i] = pack_bf16(pair[0], pair[1]);
    of_c[i] = element(c, i);
  }
  for (int i = 0; i < 2; ++i) {
    const float* pair = b + (2 * member + 8 * i) * 8 + group;
    of_b[i] = pack_bf16(pair[0], pair[8]);
  }
  mma_bf16(of_c, of_a, of_b);
  for (int i = 0; i < 4; ++i) element(c, i) = of_c[i];
}

}  // namespace

void check_mma_tf32(const Stream& stream, const float* a, const float* b, float* c) {
  launch(stream, {"check_mma_tf32", {1}, {32}}, tf32, a, b, c);
}
void check_mma_bf16(const Stream& stream, const float* a, const float* b, float* c) {
  launch(stream, {"check_mma_bf16", {1}, {32}}, bf16, a, b, c);
}

}  // namespace etude::kernels::ETUDE_DEVICE
