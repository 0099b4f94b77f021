#pragma once

// One product by each of the tensor cores' instructions that kernels are made of, on operands in
// plain row-major order: whether fragments are laid out as simt.h says is what the emulation cannot
// tell of a GPU.

#include "kernels/stream.h"

// clang-format off
ETUDE_ON_DEVICE(
// c [16, 8] += a [16, 8] b [8, 8], operands rounded to tf32.
void check_mma_tf32(const Stream& stream, const float* a, const float* b, float* c);
// c [16, 8] += a [16, 16] b [16, 8], operands rounded to bf16.
void check_mma_bf16(const Stream& stream, const float* a, const float* b, float* c);
)
// clang-format on
