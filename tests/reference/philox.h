#pragma once

// Philox 4x32-10 written out from the paper (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011), so that the kernels' use of Random123 is checked against something else.

#include <array>
#include <cstdint>

#include "kernels/philox.h"

namespace etude::reference {

std::array<uint32_t, 4> philox_4x32_10(std::array<uint32_t, 4> counter,
                                       std::array<uint32_t, 2> key);

// The number of one position of a stream, as kernels/philox.h lays them out.
uint32_t random_bits(const kernels::RandomKey& key, uint64_t position);

}  // namespace etude::reference
