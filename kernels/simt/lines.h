#pragma once

// Where in the source an instruction comes from, by the program's own line table.

#include <cstdint>
#include <string>

namespace etude::emulator {

struct Line {
  std::string file;  // empty: not known
  int number = 0;
};

// Of a return address. Where functions were inlined: of the innermost one outside of kernels/simt.
Line line_of(uintptr_t return_address);

}  // namespace etude::emulator
