#pragma once

// The functions of device.h, as each kind of device has them.

#include "kernels/device.h"

// clang-format off
ETUDE_ON_DEVICE(
Stream open_stream(Precision precision);
void close_stream(const Stream& stream) noexcept;
void* allocate(const Stream& stream, int64_t bytes);
void release(const Stream& stream, void* memory) noexcept;
void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes);
void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes);
void clear(const Stream& stream, void* memory, int64_t bytes);
void synchronize(const Stream& stream);
void begin_capture(const Stream& stream);
Graph end_capture(const Stream& stream);
void abandon_capture(const Stream& stream) noexcept;
void replay(const Stream& stream, const Graph& graph);
void release_graph(const Stream& stream, Graph& graph) noexcept;
)
// clang-format on
