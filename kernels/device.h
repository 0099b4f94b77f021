#pragma once

// The devices: streams, memory, copies, and steps that are captured once and replayed. On the CPU
// all of it is plain memory and immediate. Every function throws DeviceError where the device
// refuses; its text is one line that a user can act on. Those that give something back do not: what
// a device that has failed still holds goes with the process.

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/stream.h"

namespace etude::kernels {

struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct OutOfMemory : DeviceError {
  using DeviceError::DeviceError;
};

// Opens the device's queue. Without a GPU, a driver, or CUDA in this build: says which is missing.
Stream open_stream(Device device, Precision precision = Precision::fp32);
void close_stream(const Stream& stream) noexcept;

// Aligned to 256 bytes, uninitialised; alive until release().
void* allocate(const Stream& stream, int64_t bytes);
void release(const Stream& stream, void* memory) noexcept;

// In the stream's order. The host's side must stay as it is until synchronize(); copy_to_host()
// waits by itself.
void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes);
void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes);
void clear(const Stream& stream, void* memory, int64_t bytes);  // to zero bytes

// Waits until all work in the stream is done; a fault of an earlier kernel shows here.
void synchronize(const Stream& stream);

// Work recorded instead of run. Between begin_capture and end_capture nothing may be allocated,
// copied to the host or waited for. Arguments are fixed when recorded: what changes from replay to
// replay lies in the device's memory.
struct Graph {
  void* handle = nullptr;
};
void begin_capture(const Stream& stream);
Graph end_capture(const Stream& stream);
void abandon_capture(const Stream& stream) noexcept;  // after an error in between
void replay(const Stream& stream, const Graph& graph);
void release(const Stream& stream, Graph& graph) noexcept;

// What `etude doctor` tells.
struct DeviceReport {
  bool built = false;   // this program has CUDA kernels
  bool usable = false;  // and there is a GPU that runs them
  std::string problem;  // why not
  std::string name;     // of the GPU
  int driver = 0;       // the newest CUDA version that the driver runs, 12080 for 12.8; 0: none
  int runtime = 0;      // that this program was built with
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int64_t memory = 0, free_memory = 0, l2 = 0;  // bytes
  std::string architectures;                    // that kernels were compiled for
  std::string cublas;  // the library's file and version, or why there is none
};
DeviceReport inspect_cuda();

// The library of the CPU's matrix products, oneDNN, as it is on this machine.
struct MatrixLibrary {
  std::string version, instructions, threads;  // "2.7.2"; "AVX-512"; "OpenMP"
  std::string problem;                         // why its products are slow; empty: nothing known
};
MatrixLibrary inspect_matrix_library();

}  // namespace etude::kernels
