#include "kernels/bf16.h"

#include <atomic>

namespace etude::kernels::cpu {
namespace {

std::atomic<Precision> of_products = Precision::fp32;

}  // namespace

void use_precision(Precision precision) { of_products = precision; }

Precision precision() { return of_products.load(std::memory_order_relaxed); }

bool has_bf16() { return kBuiltWithBf16 && __builtin_cpu_supports("avx512bf16"); }

}  // namespace etude::kernels::cpu
