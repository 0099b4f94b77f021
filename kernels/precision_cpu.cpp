#include "kernels/precision.h"

#include <dnnl.h>

#include <atomic>

#include "kernels/bf16.h"

namespace etude::kernels::cpu {
namespace {

std::atomic<Precision> of_products = Precision::fp32;

}  // namespace

void use_precision(Precision precision) { of_products = precision; }

Precision precision() { return of_products.load(std::memory_order_relaxed); }

// oneDNN may have been told to keep to older instructions.
bool has_bf16() {
  const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  constexpr auto needed = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
  return kBuiltWithBf16 && (isa & needed) == needed;
}

}  // namespace etude::kernels::cpu
