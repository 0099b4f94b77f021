#include "kernels/device.h"

#include <dnnl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/device_functions.h"
#include "kernels/dispatch.h"
#include "kernels/precision.h"

namespace etude::kernels {
namespace {
constexpr const char* kBuiltWithout [[maybe_unused]] =
    "this program was built without CUDA; build it where nvcc is found, with -DETUDE_CUDA=ON";
}  // namespace

// Plain memory, at once.
namespace cpu {
namespace {

constexpr int64_t kAlignment = 256, kHugePage = 2 << 20;

void close_stream() {}
// Large arrays ask for huge pages: a strip of the output weights crosses 64 rows, each of them on
// a page of its own if pages are small.
void* allocate(int64_t bytes) {
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const int64_t whole = (std::max<int64_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(whole));
  if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kHugePage) madvise(memory, static_cast<size_t>(whole), MADV_HUGEPAGE);
#endif
  return memory;
}
void release(void* memory) { std::free(memory); }
void copy_to_device(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}
void copy_to_host(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}
void clear(void* memory, int64_t bytes) { std::memset(memory, 0, static_cast<size_t>(bytes)); }
void synchronize() {}
[[noreturn]] void no_capture() { throw DeviceError("steps are not captured on the CPU"); }
void begin_capture() { no_capture(); }
Graph end_capture() { no_capture(); }
void abandon_capture() {}
void replay(const Graph&) { no_capture(); }
void release_graph(Graph&) {}

}  // namespace
}  // namespace cpu

Stream open_stream(Device device, Precision precision) {
  switch (device) {
    case Device::simt:
      return simt::open_stream(precision);
    case Device::cuda:
#if ETUDE_CUDA
      return cuda::open_stream(precision);
#else
      throw DeviceError(kBuiltWithout);
#endif
    default:
      if (precision == Precision::tf32)
        throw DeviceError("the CPU has no tf32; it needs --device cuda (or simt)");
      if (precision == Precision::bf16 && !cpu::has_bf16())
        throw DeviceError(
            "this CPU, or this build for it, has no bf16 products (AVX512-BF16); they need "
            "--device cuda (or simt)");
      return {.precision = precision};
  }
}

void close_stream(const Stream& stream) noexcept { DISPATCH(stream, close_stream); }
void* allocate(const Stream& stream, int64_t bytes) { return DISPATCH(stream, allocate, bytes); }
void release(const Stream& stream, void* memory) noexcept { DISPATCH(stream, release, memory); }
void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes) {
  DISPATCH(stream, copy_to_device, to, from, bytes);
}
void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes) {
  DISPATCH(stream, copy_to_host, to, from, bytes);
}
void clear(const Stream& stream, void* memory, int64_t bytes) {
  DISPATCH(stream, clear, memory, bytes);
}
void synchronize(const Stream& stream) { DISPATCH(stream, synchronize); }
void begin_capture(const Stream& stream) { DISPATCH(stream, begin_capture); }
Graph end_capture(const Stream& stream) { return DISPATCH(stream, end_capture); }
void abandon_capture(const Stream& stream) noexcept { DISPATCH(stream, abandon_capture); }
void replay(const Stream& stream, const Graph& graph) { DISPATCH(stream, replay, graph); }
void release(const Stream& stream, Graph& graph) noexcept {
  DISPATCH(stream, release_graph, graph);
}

namespace {

// Of vector instructions: 0 SSE4.1, 1 AVX, 2 AVX2, 3 AVX-512.
constexpr const char* kInstructions[] = {"SSE4.1", "AVX", "AVX2", "AVX-512"};
int instructions_used() {
  const auto isa = static_cast<int>(dnnl_get_effective_cpu_isa());
  const auto has = [isa](dnnl_cpu_isa_t all) { return (isa & all) == all; };
  return has(dnnl_cpu_isa_avx512_core) ? 3
         : has(dnnl_cpu_isa_avx2)      ? 2
         : has(dnnl_cpu_isa_avx)       ? 1
                                       : 0;
}
int instructions_there() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return 3;
  return __builtin_cpu_supports("avx2") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
#else
  return 0;
#endif
}

}  // namespace

MatrixLibrary inspect_matrix_library() {
  const dnnl_version_t& version = *dnnl_version();
  MatrixLibrary library;
  library.version = std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
                    std::to_string(version.patch);
  const int used = instructions_used(), there = instructions_there();
  library.instructions = kInstructions[used];
  library.threads = version.cpu_runtime == DNNL_RUNTIME_OMP   ? "OpenMP"
                    : version.cpu_runtime == DNNL_RUNTIME_TBB ? "TBB"
                    : version.cpu_runtime == DNNL_RUNTIME_SEQ ? "one thread"
                                                              : "a thread pool";
  if (used < there)
    library.problem = std::string("oneDNN uses ") + kInstructions[used] +
                      " where the processor has " + kInstructions[there] +
                      ": unset DNNL_MAX_CPU_ISA";
  else if (version.cpu_runtime != DNNL_RUNTIME_OMP)
    library.problem = "this oneDNN works with " + library.threads +
                      ", not with OpenMP's threads: install Debian's libdnnl-dev and build again";
  return library;
}

#if !ETUDE_CUDA  // otherwise in device_cuda.cu
DeviceReport inspect_cuda() {
  DeviceReport report;
  report.problem = kBuiltWithout;
  return report;
}
#endif

}  // namespace etude::kernels
