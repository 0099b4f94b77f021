// The emulated device: its memory is the host's, and everything happens at once.

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "kernels/device_functions.h"
#include "kernels/simt/scheduler.h"
#include "kernels/simt/simt.h"
#include "kernels/simt/stream.h"
#include "kernels/span.h"

namespace etude::emulator {
namespace {

Queue& queue_of(const kernels::Stream& stream) { return *static_cast<Queue*>(stream.handle); }

void refuse_in_capture(const kernels::Stream& stream, const char* what) {
  if (queue_of(stream).capturing)
    throw kernels::DeviceError(std::string(what) + " while a step is being captured");
}

}  // namespace

void submit_host(const kernels::Stream& stream, std::function<void()> work) {
  Queue& queue = queue_of(stream);
  if (queue.capturing)
    queue.recorded.push_back(std::move(work));
  else
    work();
}

void submit(const kernels::Stream& stream, const kernels::Launch& shape, std::function<void()> body,
            bool counted) {
  const kernels::PartSpan span(shape.name);
  submit_host(stream, [shape, body = std::move(body), counted] { run_now(shape, body, counted); });
}

static int64_t most_memory = INT64_MAX;

void limit_memory(int64_t bytes) { most_memory = bytes; }

// Where device arrays begin, and how long they are.
std::map<uintptr_t, size_t>& device_arrays() {
  static std::map<uintptr_t, size_t> arrays;
  return arrays;
}

}  // namespace etude::emulator

namespace etude::kernels::simt {

using namespace etude::emulator;

constexpr auto kAlignment = std::align_val_t{256};
constexpr int64_t kFilled = int64_t{64} << 20;  // larger arrays keep the pages they have

namespace {
void require_memory(int64_t bytes) {
  int64_t free = most_memory;
  for (const auto& [begin, size] : device_arrays()) free -= static_cast<int64_t>(size);
  if (bytes > free)
    throw OutOfMemory("out of memory on the emulated device: " + std::to_string(bytes >> 20) +
                      " MiB asked, " + std::to_string(free >> 20) + " of " +
                      std::to_string(most_memory >> 20) + " MiB free");
}
}  // namespace

Stream open_stream(Precision precision) { return {Device::simt, precision, new Queue}; }

void close_stream(const Stream& stream) noexcept { delete &queue_of(stream); }

void* allocate(const Stream& stream, int64_t bytes) {
  refuse_in_capture(stream, "allocation");
  require_memory(bytes);
  void* memory = ::operator new(static_cast<size_t>(bytes), kAlignment);
  std::memset(memory, 0xff, static_cast<size_t>(std::min(bytes, kFilled)));  // NaN
  device_arrays()[reinterpret_cast<uintptr_t>(memory)] = static_cast<size_t>(bytes);
  return memory;
}

void release(const Stream&, void* memory) noexcept {
  device_arrays().erase(reinterpret_cast<uintptr_t>(memory));
  ::operator delete(memory, kAlignment);
}

void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes) {
  submit_host(stream, [=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}

void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes) {
  refuse_in_capture(stream, "a copy to the host");
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void clear(const Stream& stream, void* memory, int64_t bytes) {
  submit_host(stream, [=] { std::memset(memory, 0, static_cast<size_t>(bytes)); });
}

void synchronize(const Stream& stream) { refuse_in_capture(stream, "waiting"); }

void begin_capture(const Stream& stream) {
  refuse_in_capture(stream, "a second capture");
  queue_of(stream) = {true, {}};
}

Graph end_capture(const Stream& stream) {
  Queue& queue = queue_of(stream);
  queue.capturing = false;
  return {new std::vector(std::exchange(queue.recorded, {}))};
}

void abandon_capture(const Stream& stream) noexcept { queue_of(stream) = {}; }

void replay(const Stream& stream, const Graph& graph) {
  refuse_in_capture(stream, "a replay");
  for (const auto& work : *static_cast<std::vector<std::function<void()>>*>(graph.handle)) work();
}

void release_graph(const Stream&, Graph& graph) noexcept {
  delete static_cast<std::vector<std::function<void()>>*>(graph.handle);
  graph.handle = nullptr;
}

}  // namespace etude::kernels::simt
