#pragma once

// Launchers of the small kernels that test_simt_count.cpp has counted. Where there is a choice,
// `fault` leaves the barrier out or goes too far.

#include "kernels/stream.h"

namespace etude::kernels::counted {

// [32, 32] transposed; padded: 33 floats a row of the tile.
void transpose_directly(const Stream& stream, const float* x, float* y);
void transpose_by_tile(const Stream& stream, const float* x, float* y, bool padded);

void add_vectors(const Stream& stream, const float* x, float* y, int n);  // float4, 64 threads
void half_of_the_lanes(const Stream& stream, const float* x, float* y);
void sum_of_block(const Stream& stream, const float* x, float* y);
void count_by_atomics(const Stream& stream, const int* x, int* counts, bool fault);

void read_after_write(const Stream& stream, const float* x, float* y, bool fault);
void write_after_read(const Stream& stream, const float* x, float* y, bool fault);
void within_a_warp(const Stream& stream, const float* x, float* y, bool fault);
void two_writers(const Stream& stream, float* y, bool fault);
void copied(const Stream& stream, const float* x, float* y, bool fault);
void copied_too_early(const Stream& stream, const float* x, float* y, bool fault);
void over_a_cluster(const Stream& stream, const float* x, float* y, bool fault);
void unwritten(const Stream& stream, float* y, bool fault);
void past_shared(const Stream& stream, float* y, bool fault);
void past_global(const Stream& stream, float* y, int n, bool fault);
void misaligned(const Stream& stream, const float* x, float* y, bool fault);

}  // namespace etude::kernels::counted
