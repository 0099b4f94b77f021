// What kernels' launchers call of the device, for the counting build: simt's.

#include "kernels/device_functions.h"
#include "kernels/matmul.h"

namespace etude::kernels::counted {

Stream open_stream(Precision precision) { return simt::open_stream(precision); }
void close_stream(const Stream& stream) noexcept { simt::close_stream(stream); }
void* allocate(const Stream& stream, int64_t bytes) { return simt::allocate(stream, bytes); }
void release(const Stream& stream, void* memory) noexcept { simt::release(stream, memory); }
void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes) {
  simt::copy_to_device(stream, to, from, bytes);
}
void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes) {
  simt::copy_to_host(stream, to, from, bytes);
}
void clear(const Stream& stream, void* memory, int64_t bytes) {
  simt::clear(stream, memory, bytes);
}
void synchronize(const Stream& stream) { simt::synchronize(stream); }
void begin_capture(const Stream& stream) { simt::begin_capture(stream); }
Graph end_capture(const Stream& stream) { return simt::end_capture(stream); }
void abandon_capture(const Stream& stream) noexcept { simt::abandon_capture(stream); }
void replay(const Stream& stream, const Graph& graph) { simt::replay(stream, graph); }
void release_graph(const Stream& stream, Graph& graph) noexcept {
  simt::release_graph(stream, graph);
}

void matmul(const Stream& stream, int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b,
            float* c, int64_t c_stride, Write write, float scale) {
  simt::matmul(stream, m, n, k, a, b, c, c_stride, write, scale);
}
void matmul_batched(const Stream& stream, int64_t count, const BatchStrides& strides, int64_t m,
                    int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
                    Write write, float scale) {
  simt::matmul_batched(stream, count, strides, m, n, k, a, b, c, c_stride, write, scale);
}

}  // namespace etude::kernels::counted
