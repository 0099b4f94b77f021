#pragma once

// How exact the CPU's large matrix products (kernels/matmul.h) are: the recurrence of a GRU, the
// output layer and small products stay fp32. Like the number of threads it is the process's, and a
// session sets it before each step: the CPU's functions take no stream.

#include "kernels/stream.h"

namespace etude::kernels::cpu {

// fp32 or, where has_bf16(), bf16: of the products that are made from now on, by any thread.
void use_precision(Precision precision);
Precision precision();
bool has_bf16();  // built in, and the processor and oneDNN have it

}  // namespace etude::kernels::cpu
