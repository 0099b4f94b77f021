// The GPU: its memory, launches, and captured graphs.

#include <pthread.h>

#include <csignal>
#include <mutex>
#include <set>
#include <string>

#include "kernels/device_cuda.h"
#include "kernels/device_functions.h"
#include "kernels/simt/simt.h"
#include "kernels/span.h"

namespace etude::kernels::cuda {
namespace {

cudaStream_t handle(const Stream& stream) { return queue_of(stream).stream; }

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// Why there is no GPU to be had, in words that say what to do.
std::string explain_absence(cudaError_t status) {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (driver == 0)
    return "no GPU: the NVIDIA driver is not installed or not loaded (does nvidia-smi work?)";
  if (status == cudaErrorInsufficientDriver)
    return "no GPU: the NVIDIA driver is too old: it runs CUDA " + version(driver) +
           ", this program needs " + version(CUDART_VERSION) + "; update the driver";
  return std::string("no GPU: ") + cudaGetErrorString(status);
}

// The driver starts threads of its own, which inherit this one's mask: a signal that the program
// waits for (apps/stop_request.h) must not find one of them with its door open, or Ctrl-C would end
// a training run without saving it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

__global__ void probe() {}

// The virtual architecture that a kernel was compiled for, of those in this program that the device
// took: 80, 90; 0 where none of them runs there.
int compiled_for() {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe);
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction) {
    cudaGetLastError();
    return 0;
  }
  CUDA_CHECK(status);
  return attributes.ptxVersion;
}

// The first device, once it is known to run these kernels.
const cudaDeviceProp& device_properties() {
  static const cudaDeviceProp properties = [] {
    const SignalsBlocked blocked;
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
      throw DeviceError(status == cudaSuccess ? "no GPU: the driver knows none"
                                              : explain_absence(status));
    cudaDeviceProp found;
    CUDA_CHECK(cudaGetDeviceProperties(&found, 0));
    if (found.major < 8)
      throw DeviceError(std::string("the GPU ") + found.name + " has compute capability " +
                        std::to_string(found.major) + "." + std::to_string(found.minor) +
                        "; Etude's kernels need 8.0 or newer (Ampere)");
    CUDA_CHECK(cudaSetDevice(0));
    if (compiled_for() == 0)
      throw DeviceError(std::string("this program has no kernels for the GPU ") + found.name +
                        " (" + std::to_string(found.major * 10 + found.minor) +
                        "), only for " ETUDE_CUDA_ARCHITECTURES
                        "; build it with -DCMAKE_CUDA_ARCHITECTURES=native");
    return found;
  }();
  return properties;
}

void check_launch(const Launch& shape, cudaError_t status) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw DeviceError(std::string("kernel ") + shape.name + ": " + cudaGetErrorString(status));
}

}  // namespace

void check_cuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or somebody else's check would find it
  const std::string path = file;
  throw DeviceError(std::string("CUDA: ") + cudaGetErrorString(status) + " (" + call + " at " +
                    path.substr(path.rfind('/') + 1) + ":" + std::to_string(line) + ")");
}

Stream open_stream(Precision precision) {
  device_properties();
  const SignalsBlocked blocked;
  cudaStream_t stream;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return {Device::cuda, precision, new Queue{stream}};
}

void close_stream(const Stream& stream) noexcept {
  Queue& queue = queue_of(stream);
  close_cublas(queue);
  cudaStreamDestroy(queue.stream);
  delete &queue;
}

void* allocate(const Stream&, int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw OutOfMemory("out of GPU memory: " + std::to_string(bytes >> 20) + " MiB asked, " +
                      std::to_string(free >> 20) + " of " + std::to_string(total >> 20) +
                      " MiB free");
  }
  CUDA_CHECK(status);
  return memory;
}

void release(const Stream&, void* memory) noexcept { cudaFree(memory); }

void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                             handle(stream)));
}

void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                             handle(stream)));
  CUDA_CHECK(cudaStreamSynchronize(handle(stream)));
}

void clear(const Stream& stream, void* memory, int64_t bytes) {
  CUDA_CHECK(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), handle(stream)));
}

void synchronize(const Stream& stream) { CUDA_CHECK(cudaStreamSynchronize(handle(stream))); }

void begin_capture(const Stream& stream) {
  prepare_cublas(stream);
  CUDA_CHECK(cudaStreamBeginCapture(handle(stream), cudaStreamCaptureModeThreadLocal));
}

Graph end_capture(const Stream& stream) {
  cudaGraph_t graph;
  CUDA_CHECK(cudaStreamEndCapture(handle(stream), &graph));
  cudaGraphExec_t executable;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  CUDA_CHECK(status);
  // Now and not in the first replay, which would tell what goes wrong.
  cudaGraphUpload(executable, handle(stream));
  return {executable};
}

void abandon_capture(const Stream& stream) noexcept {
  cudaGraph_t graph = nullptr;
  if (cudaStreamEndCapture(handle(stream), &graph) == cudaSuccess && graph) cudaGraphDestroy(graph);
  cudaGetLastError();
}

void replay(const Stream& stream, const Graph& graph) {
  CUDA_CHECK(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.handle), handle(stream)));
}

void release_graph(const Stream&, Graph& graph) noexcept {
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph.handle));
  graph.handle = nullptr;
}

namespace {

// Lets the kernel have all the dynamic shared memory that a block can. Without asking it has 48 KB
// less what it has statically. Asked once: an attribute that sank again between the capture of a
// graph and its instantiation could make a recorded launch void.
cudaError_t allow_shared(const void* kernel) {
  static std::mutex mutex;
  static std::set<const void*> allowed;
  const std::lock_guard lock(mutex);
  if (allowed.contains(kernel)) return cudaSuccess;
  cudaFuncAttributes attributes;
  cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
  if (status == cudaSuccess)
    status =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared_bytes_a_block() -
                                              static_cast<int64_t>(attributes.sharedSizeBytes)));
  if (status == cudaSuccess) allowed.insert(kernel);
  return status;
}

// What a kernel must be allowed before it is launched so, or asked about.
void allow(const Launch& shape, const void* kernel) {
  if (shape.shared_bytes > 0) check_launch(shape, allow_shared(kernel));
  if (shape.cluster > 8)
    check_launch(shape,
                 cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
}

// A launch as CUDA wants it. Stays where it is: it points into itself.
struct Configuration {
  Configuration(const Stream& stream, const Launch& shape) {
    whole.gridDim = dimensions(shape.grid);
    whole.blockDim = dimensions(shape.block);
    whole.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
    whole.stream = handle(stream);
    whole.attrs = attributes;
    if (shape.cluster > 1) {
      cudaLaunchAttribute& a = attributes[whole.numAttrs++];
      a.id = cudaLaunchAttributeClusterDimension;
      a.val.clusterDim.x = static_cast<unsigned>(shape.cluster);
      a.val.clusterDim.y = a.val.clusterDim.z = 1;
    }
    if (shape.cooperative) {
      cudaLaunchAttribute& a = attributes[whole.numAttrs++];
      a.id = cudaLaunchAttributeCooperative;
      a.val.cooperative = 1;
    }
  }
  Configuration(const Configuration&) = delete;
  static dim3 dimensions(const Extent& e) {
    return dim3(static_cast<unsigned>(e.x), static_cast<unsigned>(e.y), static_cast<unsigned>(e.z));
  }
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t whole = {};
};

}  // namespace

void launch_kernel(const Stream& stream, const Launch& shape, const void* kernel,
                   void** arguments) {
  allow(shape, kernel);
  const Configuration configuration(stream, shape);
  const PartSpan span(shape.name);
  check_launch(shape, cudaLaunchKernelExC(&configuration.whole, kernel, arguments));
}

int resident_clusters(const Stream& stream, const Launch& shape, const void* kernel) {
  allow(shape, kernel);
  const Configuration configuration(stream, shape);
  int clusters = 0;
  if (cudaOccupancyMaxActiveClusters(&clusters, kernel, &configuration.whole) == cudaSuccess)
    return clusters;
  cudaGetLastError();  // more than this device puts together at all
  return 0;
}

int multiprocessors() { return device_properties().multiProcessorCount; }
int64_t shared_bytes_a_block() {
  return static_cast<int64_t>(device_properties().sharedMemPerBlockOptin);
}
// A newer GPU may run code made for Ampere, which has none.
bool has_clusters() {
  static const bool found = device_properties().major >= 9 && compiled_for() >= 90;
  return found;
}

}  // namespace etude::kernels::cuda

namespace etude::kernels {

DeviceReport inspect_cuda() {
  DeviceReport report;
  report.built = true;
  report.runtime = CUDART_VERSION;
  report.architectures = ETUDE_CUDA_ARCHITECTURES;
  if (cudaDriverGetVersion(&report.driver) != cudaSuccess) report.driver = 0;
  try {
    const cudaDeviceProp& gpu = cuda::device_properties();
    report.name = gpu.name;
    report.major = gpu.major;
    report.minor = gpu.minor;
    report.multiprocessors = gpu.multiProcessorCount;
    report.l2 = gpu.l2CacheSize;
    size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    report.memory = static_cast<int64_t>(total);
    report.free_memory = static_cast<int64_t>(free);
    report.usable = true;
  } catch (const DeviceError& reason) {
    report.problem = reason.what();
  }
  report.cublas = cuda::describe_cublas();
  return report;
}

}  // namespace etude::kernels
