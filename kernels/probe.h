#pragma once

// What a machine gives at best, measured on it: the ceilings that a kernel's time is held against.
// No kernel of a model: it allocates what it needs, takes about half a second and up to 512 MiB,
// and gives the best of its repetitions, so that what else runs on the machine matters little.

#include <algorithm>

#include "kernels/types.h"

namespace etude::kernels {

// 0: not measured there.
struct Ceilings {
  // Bytes read plus bytes written, of a copy between arrays far larger than the caches, written
  // past them: a store brings no line into the cache that it then overwrites.
  double copy_bytes_per_second = 0;
  // The same between arrays that stay in the second-level caches of the cores. CPU alone.
  double cache_bytes_per_second = 0;
  // 2 m n k a second, of matmul() (kernels/matmul.h) on square matrices, in the stream's precision;
  // on the CPU they fit the caches.
  double matmul_flops_per_second = 0;
  // Of a kernel that does nothing, as a node of a replayed graph; on the CPU of a parallel region.
  double launch_seconds = 0;
};

// The least that some work can take: bytes and FLOPs overlap at best, and the longer one holds it.
struct Bound {
  double seconds = 0;
  bool by_memory = false;
};
inline Bound bound(const Ceilings& ceilings, double flops, double bytes) {
  const auto over = [](double amount, double rate) { return rate > 0 ? amount / rate : 0.0; };
  const double arithmetic = over(flops, ceilings.matmul_flops_per_second);
  const double memory = over(bytes, ceilings.copy_bytes_per_second);
  return {std::max(arithmetic, memory), memory > arithmetic};
}

namespace cpu {

Ceilings probe_ceilings();  // with all of OpenMP's threads

}  // namespace cpu
}  // namespace etude::kernels

// Under simt the figures are the emulator's, of tiny sizes: only that it runs.
// clang-format off
ETUDE_ON_DEVICE(
Ceilings probe_ceilings(const Stream& stream);
)
// clang-format on
