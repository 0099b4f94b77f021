#pragma once

// The reference: every op in double precision and plain loops, written from the formulas of the
// contracts in kernels/*.h. It is the specification that the fast kernels are measured against, so
// it is to be read, not to be fast. Arrays are row-major, without gaps, laid out as the contracts
// say.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace etude::reference {

using Vec = std::vector<double>;

}  // namespace etude::reference
