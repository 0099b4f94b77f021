// cuBLAS, found when the first product is asked for, or a capture begins: the program starts where
// there is none.

#include <cublas_v2.h>
#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/costs.h"
#include "kernels/device_cuda.h"
#include "kernels/device_functions.h"
#include "kernels/matmul.h"

namespace etude::kernels::cuda {
namespace {

constexpr int64_t kWorkspace = int64_t{32} << 20;  // what NVIDIA advises for Hopper

struct Cublas {
  std::string file, problem;
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasDestroy_v2) destroy = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasSetWorkspace_v2) set_workspace = nullptr;
  decltype(&cublasGetVersion_v2) get_version = nullptr;
  // Spelled out: the header has a second function of each name, for C++ alone.
  cublasStatus_t (*gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                         const void*, const void*, cudaDataType, int, const void*, cudaDataType,
                         int, const void*, void*, cudaDataType, int, cublasComputeType_t,
                         cublasGemmAlgo_t) = nullptr;
  cublasStatus_t (*gemm_batched)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                 int, const void*, const void*, cudaDataType, int, long long,
                                 const void*, cudaDataType, int, long long, const void*, void*,
                                 cudaDataType, int, long long, int, cublasComputeType_t,
                                 cublasGemmAlgo_t) = nullptr;
};

void* open_library(Cublas& lib) {
  const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
  std::vector<std::string> places;
  if (const char* given = std::getenv("ETUDE_CUBLAS")) places.push_back(given);
  places.push_back(name);
  if (const char* home = std::getenv("CUDA_HOME"))
    places.push_back(std::string(home) + "/lib64/" + name);
  places.push_back("/usr/local/cuda/lib64/" + name);
  for (const std::string& place : places) {
    lib.file = place;
    if (void* library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  }
  lib.problem = "cuBLAS is not there: no " + name +
                " on the loader's path, in CUDA_HOME/lib64 or where ETUDE_CUBLAS points";
  return nullptr;
}

template <typename Function>
void find(void* library, const char* name, Function& function, Cublas& lib) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) lib.problem = lib.file + " has no " + name;
}

const Cublas& cublas() {
  static const Cublas found = [] {
    Cublas lib;
    void* library = open_library(lib);
    if (!library) return lib;
    find(library, "cublasCreate_v2", lib.create, lib);
    find(library, "cublasDestroy_v2", lib.destroy, lib);
    find(library, "cublasSetStream_v2", lib.set_stream, lib);
    find(library, "cublasSetWorkspace_v2", lib.set_workspace, lib);
    find(library, "cublasGetVersion_v2", lib.get_version, lib);
    find(library, "cublasGemmEx", lib.gemm, lib);
    find(library, "cublasGemmStridedBatchedEx", lib.gemm_batched, lib);
    return lib;
  }();
  return found;
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_ALLOC_FAILED)
    throw OutOfMemory(std::string("out of GPU memory: cuBLAS in ") + call);
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError(std::string("cuBLAS: ") + call + " failed with status " +
                      std::to_string(static_cast<int>(status)));
}

// All or nothing: a handle left half made would work in another stream. The workspace comes after
// the stream, which resets it.
void open_cublas(const Stream& stream) {
  Queue& queue = queue_of(stream);
  cublasHandle_t handle;
  check(cublas().create(&handle), "cublasCreate");
  queue.cublas = handle;
  try {
    queue.workspace = cuda::allocate(stream, kWorkspace);
    check(cublas().set_stream(handle, queue.stream), "cublasSetStream");
    check(cublas().set_workspace(handle, queue.workspace, static_cast<size_t>(kWorkspace)),
          "cublasSetWorkspace");
  } catch (...) {
    close_cublas(queue);
    throw;
  }
}

cublasHandle_t handle_of(const Stream& stream) {
  Queue& queue = queue_of(stream);
  if (!cublas().problem.empty()) throw DeviceError(cublas().problem);
  if (!queue.cublas) open_cublas(stream);
  return static_cast<cublasHandle_t>(queue.cublas);
}

cublasComputeType_t compute_type(Precision precision) {
  switch (precision) {
    case Precision::tf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::bf16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
    default:
      return CUBLAS_COMPUTE_32F;
  }
}

// cuBLAS reads columns first: what lies row by row in memory is to it the transposed matrix. So it
// is asked for c^T = op(b)^T op(a)^T.
cublasOperation_t operation(MatrixView view) {
  return view.transpose == Transpose::no ? CUBLAS_OP_N : CUBLAS_OP_T;
}

}  // namespace

void prepare_cublas(const Stream& stream) {
  if (!queue_of(stream).cublas && cublas().problem.empty()) open_cublas(stream);
}

void close_cublas(Queue& queue) noexcept {
  if (!queue.cublas) return;
  cublas().destroy(static_cast<cublasHandle_t>(queue.cublas));
  cudaFree(queue.workspace);
  queue.cublas = queue.workspace = nullptr;
}

std::string describe_cublas() {
  if (!cublas().problem.empty()) return cublas().problem;
  cublasHandle_t handle;
  if (cublas().create(&handle) != CUBLAS_STATUS_SUCCESS) return cublas().file + ", not usable";
  int version = 0;
  cublas().get_version(handle, &version);
  cublas().destroy(handle);
  return cublas().file + ", version " + std::to_string(version);
}

void matmul(const Stream& stream, int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b,
            float* c, int64_t c_stride, Write write, float scale) {
  const float beta = write == Write::add ? 1.0f : 0.0f;
  const cublasHandle_t handle = handle_of(stream);
  const PartSpan span("matmul", cost::matmul(m, n, k));
  check(cublas().gemm(handle, operation(b), operation(a), static_cast<int>(n), static_cast<int>(m),
                      static_cast<int>(k), &scale, b.data, CUDA_R_32F, static_cast<int>(b.stride),
                      a.data, CUDA_R_32F, static_cast<int>(a.stride), &beta, c, CUDA_R_32F,
                      static_cast<int>(c_stride), compute_type(stream.precision),
                      CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

void matmul_batched(const Stream& stream, int64_t count, const BatchStrides& strides, int64_t m,
                    int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
                    Write write, float scale) {
  const float beta = write == Write::add ? 1.0f : 0.0f;
  const cublasHandle_t handle = handle_of(stream);
  const PartSpan span("matmul", cost::matmul(m, n, k, count));
  check(cublas().gemm_batched(handle, operation(b), operation(a), static_cast<int>(n),
                              static_cast<int>(m), static_cast<int>(k), &scale, b.data, CUDA_R_32F,
                              static_cast<int>(b.stride), strides.b, a.data, CUDA_R_32F,
                              static_cast<int>(a.stride), strides.a, &beta, c, CUDA_R_32F,
                              static_cast<int>(c_stride), strides.c, static_cast<int>(count),
                              compute_type(stream.precision), CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx");
}

}  // namespace etude::kernels::cuda
